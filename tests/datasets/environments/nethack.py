"""Skips the tests that need NetHack where it isn't installed, and has the beginnings of two games."""

import importlib.util

from lamobench.tests.required import lacking

# Of two games that AutoAscend played, by their seeds: the keys before it was first on dungeon level 2, and on level 4,
# to which it fell. Every key up to there, so that what is recorded can be compared with what is played.
DESCENTS = {
    1001: (
        b"\x1b\x1b\x18  \xe5 @\\  :/M #te\rb\x1b\x1b\x1b#te\rb\x1b\\  :/M snsjsDa\rc\r: , hs:,:l : , uslsusllsls"
        b"lslslslslslslslslslslslsls5s5s5shhhhh#te\rb\x1bhhhhhhhhhhbnsn/M \xe5 nslsjsjsjs"
        b"nsnsjsnsk\x1b\x1b#te\rb\x1b\\  :/M k\x1b\x1b#te\rb\x1b\\  :/M ksnsnsh\x1b\x1b#te\rb\x1b\\  :/M jsnshskysn"
        b"nlslsnslslsls:,:lslsusjsjslslslslslslslslslslslslslslslslsl#te\rb\x1bslslsls"
        b"lslslslsksksksuslslslslslsysksksksususjshhslu\x1b\x1b#te\rb\x1b\\  :/M uksksksksksh"
        b"/M \xe5 h\x1b\x1b#te\rb\x1b\\  :/M \xe5 bbybbsbey se\x1b\x1b#te\rb\x1b\\  :/M bsjsjsjshsbshshs5s#te\r"
        b"b\x1bjjsjs:,:j "
    ),
    1008: (
        b"\x1b\x1b\x18  \xe5 @\\  :/M #te\rb\x1b\x1b\x1b#te\rb\x1b\\  :/M sksysys#te\rb\x1blskkksksuslslsjsnsjsjsj"
        b"sjsjsjs5s5s5skkkkk/M \xe5 kkkskslslsbslslsus#te\rb\x1bnslslslslslsnsnsnsjsjsDa\r"
        b"c\r: , : , ,b\r:kuslsbsjshh\x04hhsysj\x1b\x1b#te\rb\x1b\\  :/M jskkyskusksksksksksysl\x1b\x1b#"
        b"te\rb\x1b\\  :/M bsbsbshssss #te\rb\x1bsluuunjjjjjjnnnb : , : , ,a\r:kkyyuslslslsl"
        b"slslsls5s5s5shhhhhhhyk#te\rb\x1bkkkkshhsbsbshsyshsbshsys#te\rb\x1bbsbsh hshshsys"
        b"lshyskslslshbbsysjshshshshshsssssh : , s: , ,$\r:hsysysjshs:,:hshh\\  shsj"
        b"sj#te\rb\x1bshshshsjsbslshhsj\x1b\x1b#te\rb\x1b\\  :/M jsjshsbsksjjsjsjsbsjsbslsb/M \xe5 h"
        b"hhyhbyhbynyn  ynhsssssls:,:bsy\x1b\x1b#te\rb\x1b\\  :/M hsssssy :  , sl : , : , ,bc"
        b"d\r:Wnlusnslsu "
    ),
}


def needs_nethack() -> None:
    """Skip a module of tests, or the test that calls it."""
    if importlib.util.find_spec("nle") is None:
        lacking("nethack", 'NetHack is not installed: pip install "lamobench[nethack]"')
