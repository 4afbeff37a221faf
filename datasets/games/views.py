"""Views: the texts of a scene in other words, its commands one to one. A game gets an index, always the same."""

from collections.abc import Callable
from dataclasses import replace

from ..errors import choose
from .game import Game, Scene

Rewording = Callable[[str], str]

VIEWS: dict[str, Rewording | None] = {"orig": None}


def view(scene: Scene, name: str) -> Scene:
    """The scene as the view of that name shows it; only its texts differ. A `UserError` names the valid views."""
    reword = VIEWS[choose("view", name, list(VIEWS))]
    if reword is None:
        return scene
    return replace(
        scene,
        observation=reword(scene.observation),
        inventory=reword(scene.inventory),
        commands=tuple(map(reword, scene.commands)),
    )


class ViewedGame:
    """A game whose scenes are seen through a view."""

    def __init__(self, game: Game, view_name: str) -> None:
        self.game = game
        self.view_name = choose("view", view_name, list(VIEWS))
        self.name = game.name

    def reset(self) -> Scene:
        """Begin anew; returns the first scene, as the view shows it."""
        return view(self.game.reset(), self.view_name)

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene, as the view shows it."""
        return view(self.game.step(index), self.view_name)

    def expert(self) -> int | None:
        """The index that a player who knows the game would choose now."""
        return self.game.expert()
