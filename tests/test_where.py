from dataclasses import dataclass

import pytest
from torch import nn

from clipact import where
from clipact.errors import ClipactError, SelectionError
from clipact.where import Candidate, select

SITES = [
    Candidate("stem.relu", nn.ReLU),
    Candidate("layer1.0.relu", nn.ReLU),
    Candidate("layer1.0.act", nn.GELU),
    Candidate("head.relu6", nn.ReLU6),
]


def names(predicate):
    return [site.name for site in select(predicate, SITES)]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (None, ["stem.relu", "layer1.0.relu", "layer1.0.act", "head.relu6"]),
        (where.anywhere(), ["stem.relu", "layer1.0.relu", "layer1.0.act", "head.relu6"]),
        (where.named("layer1*"), ["layer1.0.relu", "layer1.0.act"]),
        (where.named("*.relu", "head*"), ["stem.relu", "layer1.0.relu", "head.relu6"]),
        (where.of_type(nn.ReLU), ["stem.relu", "layer1.0.relu"]),
        (where.of_type(nn.Hardtanh), ["head.relu6"]),  # nn.ReLU6 is a Hardtanh
        (where.last(), ["head.relu6"]),
        (where.last(99), ["stem.relu", "layer1.0.relu", "layer1.0.act", "head.relu6"]),
        (~where.last(2), ["stem.relu", "layer1.0.relu"]),
        (where.named("layer1*") & where.of_type(nn.GELU), ["layer1.0.act"]),
        (where.named("stem*") | where.last(), ["stem.relu", "head.relu6"]),
        (where.matching(lambda site: site.name.endswith("act")), ["layer1.0.act"]),
    ],
)
def test_picks_in_order(predicate, expected):
    assert names(predicate) == expected


def test_a_pattern_without_a_match_is_an_error_even_inside_an_alternative():
    with pytest.raises(
        SelectionError, match=r"named\('layre1\*'\) matches none of 4 names; there is .*layer1"
    ):
        names(where.named("layre1*") | where.last())


def test_nothing_picked_names_what_there_was():
    with pytest.raises(SelectionError, match=r"picks none of the 4 sites of Net: stem\.relu, "):
        select(where.of_type(nn.Linear), SITES, what="sites of Net")


def test_no_candidates_at_all():
    with pytest.raises(SelectionError, match="there are no sites of Net to choose from"):
        select(None, [], what="sites of Net")


def test_errors_are_built_ins_too():
    with pytest.raises(LookupError):
        names(where.of_type(nn.Linear))
    assert issubclass(SelectionError, ClipactError)


@pytest.mark.parametrize(
    "build", [where.named, where.of_type, lambda: where.last(0), lambda: where.last(-1)]
)
def test_empty_predicates_are_refused_at_construction(build):
    with pytest.raises(ValueError, match=r"at least|selects nothing"):
        build()


def test_any_object_with_name_and_kind_is_a_candidate():
    @dataclass
    class Thing:
        name: str
        kind: type
        extra: int

    things = [Thing("a", nn.ReLU, 1), Thing("b", nn.GELU, 2)]
    assert [thing.extra for thing in select(where.of_type(nn.GELU), things)] == [2]
