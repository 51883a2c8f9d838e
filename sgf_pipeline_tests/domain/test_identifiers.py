"""Identifiers: what they depend on, and what they must never show."""

from ipaddress import IPv6Address, IPv6Network

from sgf_pipeline.domain.events import ACTOR_BASE
from sgf_pipeline.domain.identifiers import Identifiers


def identifiers(**changes) -> Identifiers:
    values = {"content_sha": "ab", "seed": 1, "population_seed": 2, "scenario": "card_testing", "salt": "s", **changes}
    return Identifiers(values.pop("salt"), **values)


def test_population_ids_outlive_a_batch_and_offenders_do_not():
    """Guards against nightly batches whose customers change, or whose offenders never do."""
    tonight, tomorrow = identifiers(), identifiers(content_sha="cd", seed=9)
    assert tonight.entities("card", "crd", [5]) == tomorrow.entities("card", "crd", [5])
    offender = ACTOR_BASE + 5
    assert tonight.entities("device", "dev", [offender]) != tomorrow.entities("device", "dev", [offender])
    assert tonight.transactions([0]) != tomorrow.transactions([0])


def test_another_population_shares_no_id():
    """Guards against two datasets that can be joined although they must not be."""
    one, other = identifiers(), identifiers(population_seed=3)
    for kind, prefix in (("customer", "cus"), ("card", "crd"), ("device", "dev"), ("account", "acc")):
        keys = list(range(200))
        assert not set(one.entities(kind, prefix, keys)) & set(other.entities(kind, prefix, keys))
    assert not set(one.addresses(range(200))) & set(other.addresses(range(200)))


def test_another_salt_shares_no_id():
    """Guards against identifiers that anybody could recompute."""
    assert identifiers().merchants([1]) != identifiers(salt="t").merchants([1])


def test_addresses_come_from_the_documentation_range_and_tell_nothing_but_equality():
    """Guards against a real person's address, and against networks that customers share and offenders do not."""
    keys = [*range(500), *range(ACTOR_BASE, ACTOR_BASE + 500)]
    addresses = [IPv6Address(text) for text in identifiers().addresses(keys)]
    assert all(address in IPv6Network("2001:db8::/32") for address in addresses)
    assert len({int(address) >> 64 for address in addresses}) == len(keys)


def test_ids_of_offenders_and_customers_have_one_shape():
    """Guards against an id whose length or prefix gives fraud away."""
    mine, theirs = identifiers().entities("device", "dev", [1, ACTOR_BASE + 1])
    assert len(mine) == len(theirs)
    assert mine[:4] == theirs[:4] == "dev_"
