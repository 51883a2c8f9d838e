import iso18245
import numpy as np
import pytest

from sgf_pipeline.domain.money import UNITS_PER_EUR
from sgf_pipeline.population.places import COUNTRY_CODES, country_index
from sgf_pipeline.population.world import ATM_MCC, NINETY_NINE, TRADES, WHOLE, world


def test_a_country_is_the_same_whichever_others_are_requested() -> None:
    """Guards: shops of FR that change their name, place or price because DE was asked for, too."""
    alone, together = world(7, ("FR",), "EUR"), world(7, ("DE", "FR", "IT"), "EUR")
    keys = alone.merchant_key[alone.merchant_country == country_index("FR")]
    here, there = alone.position(keys), together.position(keys)
    for column in ("name", "mcc", "online", "popularity", "price", "ending", "latitude"):
        name = f"merchant_{column}"
        assert np.array_equal(getattr(alone, name)[here], getattr(together, name)[there]), name
    city_here, city_there = alone.merchant_city[here], together.merchant_city[there]
    assert np.array_equal(alone.city_name[city_here], together.city_name[city_there])


def test_another_population_seed_is_another_world() -> None:
    """Guards: the same shops in every batch of every tenant."""
    one, other = world(7, ("FR",), "EUR"), world(8, ("FR",), "EUR")
    n = min(len(one.merchant_key), len(other.merchant_key))
    assert np.mean(one.merchant_name[:n] == other.merchant_name[:n]) < 0.05


def test_category_codes_are_of_the_standard() -> None:
    """Guards: a merchant category that ISO 18245 does not know."""
    assert all(iso18245.get_mcc(trade.mcc).mcc == trade.mcc for trade in TRADES)
    assert len({trade.mcc for trade in TRADES}) == len(TRADES) >= 60


def test_keys_are_sorted_unique_and_found_again() -> None:
    """Guards: a merchant key that leads to another merchant, or a foreign key taken for one of ours."""
    the_world = world(7, ("IT", "FR"), "EUR")
    assert np.all(np.diff(the_world.merchant_key) > 0)
    places = np.array([5, 0, len(the_world.merchant_key) - 1])
    assert np.array_equal(the_world.position(the_world.merchant_key[places]), places)
    with pytest.raises(KeyError):
        the_world.position(np.array([the_world.merchant_key[-1] + 1]))


@pytest.mark.parametrize("currency", sorted(UNITS_PER_EUR))
def test_prices_fit_every_currency(currency: str) -> None:
    """Guards: prices of zero, fractions of a unit that cannot be formed, or a threshold that is no round figure."""
    the_world = world(7, ("FR",), currency)
    assert the_world.unit % 100 == 0
    assert the_world.merchant_price.min() > 0
    assert 0.4 < the_world.threshold / (10_000 * the_world.eur) < 2.5
    assert str(the_world.threshold).rstrip("0") in ("1", "2", "5")
    shops = the_world.pick_merchants(np.random.default_rng(1), 500)
    assert the_world.amounts(np.random.default_rng(2), shops).min() > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_large_shop_sets_the_price_endings_of_its_country(seed: int) -> None:
    """Guards: a tenth of all prices on .99 with one seed and a fifth with the next, as the largest shops fall."""
    the_world = world(seed, ("FR",), "EUR")
    shops = the_world.pick_merchants(np.random.default_rng(1), 40_000)
    endings = np.bincount(the_world.merchant_ending[shops], minlength=6) / len(shops)
    assert 0.20 < endings[WHOLE] < 0.26
    assert 0.05 < endings[NINETY_NINE] < 0.09


def test_prices_follow_the_level_of_the_country() -> None:
    """Guards: a Swiss and an Indian basket at one price in euros."""
    median = {
        currency: np.median(world(7, (country,), currency).merchant_price) / 10**digits / UNITS_PER_EUR[currency]
        for country, currency, digits in (("FR", "EUR", 2), ("IN", "INR", 2), ("CH", "CHF", 2), ("JP", "JPY", 0))
    }
    assert median["INR"] < 0.5 * median["EUR"] < 0.5 * median["CHF"]
    assert median["JPY"] < median["EUR"]


def test_price_endings_are_kept() -> None:
    """Guards: a price habit that never reaches the amounts."""
    the_world = world(7, ("FR",), "EUR")
    amounts = np.full(4000, 1234.0)
    random = np.random.default_rng(3)
    ninety_nine = the_world.snap(random, amounts, np.full(4000, NINETY_NINE, dtype=np.int8))
    whole = the_world.snap(random, amounts, np.full(4000, WHOLE, dtype=np.int8))
    assert 0.7 < np.mean(ninety_nine == 1199) < 0.8
    assert 0.7 < np.mean(whole == 1200) < 0.8


def test_picking_honours_its_filters_and_widens_when_nothing_is_left() -> None:
    """Guards: cash machines among shops, shops of the wrong country, or an error on an impossible filter."""
    the_world, random = world(7, ("FR", "DE"), "EUR"), np.random.default_rng(4)
    shops = the_world.pick_merchants(random, 2000)
    assert not np.any(the_world.merchant_mcc[shops] == ATM_MCC)
    assert set(np.unique(the_world.merchant_country[shops])) == {country_index("FR"), country_index("DE")}
    charities = the_world.pick_merchants(random, 50, online=True, mcc="8398", country=country_index("DE"))
    assert np.all(the_world.merchant_mcc[charities] == "8398")
    assert np.all(the_world.merchant_online[charities])
    assert np.all(the_world.merchant_country[charities] == country_index("DE"))
    nowhere = the_world.pick_merchants(random, 5, mcc="8398", country=country_index("NZ"))
    assert len(nowhere) == 5


def test_every_city_has_shops_and_cash() -> None:
    """Guards: a customer whose home city has nothing to buy, so that he shops in the next one's stead."""
    for code in ("FR", "VA", "US", "NR", "SG"):
        the_world = world(7, (code,), "EUR")
        home = np.flatnonzero(the_world.city_country == COUNTRY_CODES.index(code))
        for atm in (False, True):
            found = the_world.pick_in_city(np.random.default_rng(5), home, atm=atm)
            assert np.array_equal(the_world.merchant_city[found], home), code
            assert np.all((the_world.merchant_mcc[found] == ATM_MCC) == atm)
