"""Families of language models: all that differs between them stands in their rows."""

import ast
from pathlib import Path

import pytest

from lamobench.benchmark.lm.families import FAMILIES
from lamobench.benchmark.offline.describe import PARTS

HARNESS = Path(__file__).resolve().parents[3] / "benchmark"


def asked_for_a_family(source: str) -> list[int]:
    """The lines of a program that compare something with the name of a family, or of a class of its models."""
    classes = {family.model.__name__ for family in FAMILIES.values()}
    lines = []
    for node in ast.walk(ast.parse(source)):
        of_a_class = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        if isinstance(node, ast.Compare | ast.MatchValue) or of_a_class:
            constants = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            lines += [node.lineno] if constants & FAMILIES.keys() or named & classes else []
    return lines


def test_no_module_asks_which_family_a_model_is_of() -> None:
    asking = {str(path): asked_for_a_family(path.read_text()) for path in HARNESS.rglob("*.py")}
    assert not {path: lines for path, lines in asking.items() if lines}


@pytest.mark.parametrize(
    "planted",
    [
        'if config.model_type == "bert":\n    pass\n',
        'x = kind in ("gpt2", "roberta")\n',
        "x = isinstance(model, GPT2LMHeadModel)\n",
        'match kind:\n    case "bert":\n        pass\n',
    ],
)
def test_a_planted_question_is_found(planted: str) -> None:
    assert asked_for_a_family(planted)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_row_names_what_its_models_have(kind: str) -> None:
    family = FAMILIES[kind]
    config = family.model.config_class()
    assert config.model_type == kind
    former = {"rope_theta", "rope_scaling"}  # keys of older files: transformers makes `rope_parameters` of them
    for key in (*(family.values.keys() - former), family.layout.width, family.layout.heads, family.layout.layers):
        assert hasattr(config, key)
        assert key not in config.attribute_map  # transformers' first name
    assert {family.layout.width, family.layout.heads, family.layout.layers} <= family.values.keys()
    assert family.parts.keys() <= set(PARTS)
