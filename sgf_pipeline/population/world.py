"""The world that all customers of a population seed share: merchants with places, categories and prices.

Belongs here: merchants, price levels and price endings, and finding merchants. Does not belong here: which
customer goes where (``sgf_pipeline.traffic``).

A country's merchants depend on (population_seed, country) alone, so that two requests with different countries
meet the same shops where they overlap. Names are invented from the word lists below.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import floor, log, log10
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.money import UNITS_PER_EUR, minor_digits, unit_amount
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.population.places import COUNTRY_CODES, cities, country_index

FREE, WHOLE, NINETY_NINE, NINETY_FIVE, HALF, NINETY = range(6)
# What follows the whole units, in hundredths of a unit, for each habit of price endings; FREE follows none.
ENDING_HUNDREDTHS = np.array([0, 0, 99, 95, 50, 90])

# Share of a trade's merchants that have each habit (free, whole, .99, .95, .50, .90).
_HABITS = {
    "basket": (0.72, 0.11, 0.04, 0.04, 0.05, 0.04),
    "retail": (0.38, 0.26, 0.08, 0.11, 0.06, 0.11),
    "meal": (0.28, 0.30, 0.01, 0.02, 0.24, 0.15),
    "round": (0.22, 0.68, 0.01, 0.01, 0.08, 0.00),
    "digital": (0.31, 0.29, 0.16, 0.12, 0.04, 0.08),
}


class Trade(NamedTuple):
    """One merchant category: its share of purchases, its prices and how it is named."""

    mcc: str  # ISO 18245
    share: float  # relative weight among purchases
    price: float  # median purchase, EUR
    sigma: float  # of ln(amount) around it
    online: float  # share of its purchases that is made online
    habit: str
    nouns: tuple[str, ...]


# Shares and prices are our own judgement of European consumer spending in 2024-25, by orders of magnitude (groceries,
# food out, fuel and transport lead by number; travel and electronics by amount).
TRADES = (
    Trade("5411", 19.0, 27, 0.85, 0.04, "basket", ("Market", "Grocers", "Supermarket", "Foods", "Provisions")),
    Trade("5499", 3.5, 9, 0.70, 0.05, "basket", ("Corner Shop", "Minimarket", "Organic Store", "Delicatessen")),
    Trade("5462", 5.5, 6.5, 0.50, 0.00, "basket", ("Bakery", "Bakehouse", "Patisserie", "Oven")),
    Trade("5812", 7.5, 31, 0.65, 0.03, "meal", ("Kitchen", "Table", "Trattoria", "Brasserie", "Grill", "Bistro")),
    Trade("5814", 7.0, 11, 0.50, 0.22, "meal", ("Burgers", "Noodles", "Pizza", "Kebab", "Sandwiches", "Coffee")),
    Trade("5813", 2.2, 16, 0.70, 0.00, "meal", ("Bar", "Tavern", "Taproom", "Cellar")),
    Trade("5541", 4.5, 52, 0.45, 0.00, "basket", ("Fuel", "Service Station", "Petrol")),
    Trade("5542", 1.6, 48, 0.50, 0.00, "basket", ("Fuel 24", "Self Fuel", "Pump")),
    Trade("4111", 4.2, 4.4, 0.60, 0.45, "meal", ("Tramways", "City Lines", "Metro", "Transit")),
    Trade("4112", 1.6, 34, 0.85, 0.75, "basket", ("Railways", "Express Rail", "Trains")),
    Trade("4121", 1.8, 17, 0.60, 0.50, "basket", ("Taxi", "Cabs", "Rides")),
    Trade("4131", 0.5, 19, 0.70, 0.65, "retail", ("Coaches", "Bus Lines")),
    Trade("7523", 1.9, 4.4, 0.60, 0.20, "meal", ("Parking", "Car Park", "Garage Parking")),
    Trade("4784", 0.7, 8.5, 0.70, 0.05, "meal", ("Toll", "Motorway")),
    Trade("5912", 3.3, 14, 0.75, 0.08, "basket", ("Pharmacy", "Dispensary", "Apothecary")),
    Trade("5977", 1.0, 21, 0.70, 0.25, "retail", ("Cosmetics", "Perfumery", "Beauty")),
    Trade("7230", 1.2, 32, 0.55, 0.02, "round", ("Hair", "Barber", "Salon")),
    Trade("5651", 2.3, 44, 0.75, 0.40, "retail", ("Clothing", "Outfitters", "Wardrobe")),
    Trade("5621", 1.0, 42, 0.70, 0.45, "retail", ("Fashion", "Boutique", "Atelier")),
    Trade("5661", 0.9, 58, 0.60, 0.45, "retail", ("Shoes", "Footwear", "Cobblers")),
    Trade("5641", 0.4, 29, 0.70, 0.40, "retail", ("Kids", "Little Ones")),
    Trade("5311", 1.5, 39, 0.85, 0.35, "retail", ("Department Store", "Galleries", "Emporium")),
    Trade("5331", 1.5, 12, 0.80, 0.10, "retail", ("Variety", "Bargains", "Discount")),
    Trade("5399", 4.2, 25, 0.90, 0.94, "retail", ("Marketplace", "Megastore", "Everything", "Mall Online")),
    Trade("5732", 1.1, 96, 1.05, 0.60, "retail", ("Electronics", "Audio Video", "Digital House")),
    Trade("5045", 0.5, 140, 1.05, 0.75, "retail", ("Computers", "Hardware Hub", "Peripherals")),
    Trade("5200", 1.4, 38, 0.95, 0.20, "retail", ("Home Improvement", "Builders Yard", "DIY")),
    Trade("5251", 0.7, 18, 0.80, 0.15, "retail", ("Ironmongers", "Tools", "Hardware")),
    Trade("5712", 0.6, 130, 1.10, 0.40, "retail", ("Furniture", "Interiors", "Living")),
    Trade("5719", 0.8, 26, 0.85, 0.35, "retail", ("Homeware", "Kitchenware", "Linen")),
    Trade("5992", 0.6, 24, 0.55, 0.20, "round", ("Flowers", "Florist", "Blooms")),
    Trade("5261", 0.5, 27, 0.80, 0.20, "retail", ("Garden Centre", "Nursery", "Seeds")),
    Trade("5942", 1.0, 17, 0.65, 0.40, "retail", ("Books", "Bookshop", "Pages")),
    Trade("5994", 1.1, 6, 0.65, 0.02, "basket", ("Newsagent", "Kiosk", "Press")),
    Trade("5993", 1.4, 12, 0.55, 0.00, "meal", ("Tobacco", "Tobacconist")),
    Trade("5921", 0.8, 18, 0.70, 0.15, "retail", ("Wines", "Bottle Shop", "Vintners")),
    Trade("5441", 0.4, 9, 0.70, 0.05, "basket", ("Chocolates", "Sweets", "Confectioners")),
    Trade("5451", 0.4, 14, 0.60, 0.00, "basket", ("Dairy", "Cheesemonger", "Creamery")),
    Trade("5422", 0.8, 20, 0.60, 0.00, "basket", ("Butcher", "Meats", "Charcuterie")),
    Trade("5941", 0.8, 37, 0.80, 0.35, "retail", ("Sports", "Outdoor", "Athletics")),
    Trade("5945", 0.7, 24, 0.75, 0.40, "retail", ("Toys", "Games", "Hobby")),
    Trade("5947", 0.6, 16, 0.75, 0.25, "retail", ("Gifts", "Cards and Gifts", "Souvenirs")),
    Trade("5944", 0.2, 120, 1.00, 0.25, "round", ("Jewellers", "Watches")),
    Trade("5995", 0.5, 24, 0.70, 0.40, "retail", ("Pets", "Animal Feed", "Aquaria")),
    Trade("0742", 0.3, 62, 0.70, 0.00, "basket", ("Veterinary Practice", "Animal Clinic")),
    Trade("8011", 0.9, 38, 0.60, 0.02, "round", ("Doctors", "Medical Practice")),
    Trade("8021", 0.4, 75, 0.80, 0.00, "round", ("Dental Care", "Dentists")),
    Trade("8043", 0.3, 110, 0.80, 0.15, "retail", ("Opticians", "Eyewear")),
    Trade("7832", 0.9, 15, 0.50, 0.45, "meal", ("Cinema", "Pictures", "Screen")),
    Trade("7922", 0.5, 52, 0.70, 0.85, "retail", ("Tickets", "Theatre", "Concerts")),
    Trade("7997", 0.9, 31, 0.55, 0.35, "digital", ("Fitness", "Gym", "Sports Club")),
    Trade("7941", 0.3, 28, 0.65, 0.40, "round", ("Stadium", "Arena")),
    Trade("4814", 1.2, 19, 0.60, 0.85, "digital", ("Mobile", "Telecom", "Fibre")),
    Trade("4899", 1.5, 12, 0.45, 0.99, "digital", ("Streaming", "Television", "Play")),
    Trade("5815", 1.4, 9, 0.60, 1.00, "digital", ("Music", "Reader", "Media")),
    Trade("5816", 1.6, 8, 0.95, 1.00, "digital", ("Games Online", "Arcade", "Quest")),
    Trade("5817", 1.5, 7, 0.75, 1.00, "digital", ("Apps", "App Store", "Software Cloud")),
    Trade("5818", 0.8, 14, 0.85, 1.00, "digital", ("Digital Goods", "Downloads", "Credits")),
    Trade("5734", 0.5, 24, 0.90, 0.95, "digital", ("Software", "Systems", "Cloud Tools")),
    Trade("5968", 0.9, 15, 0.60, 1.00, "digital", ("Subscription Box", "Monthly", "Club Box")),
    Trade("5964", 0.7, 34, 0.80, 1.00, "retail", ("Catalogue", "Mail Order", "Direct")),
    Trade("8398", 0.7, 14, 0.95, 0.85, "round", ("Relief Fund", "Foundation", "Charity", "Shelter")),
    Trade("7011", 0.8, 112, 0.75, 0.55, "round", ("Hotel", "Inn", "Guest House", "Lodge")),
    Trade("4722", 0.4, 190, 1.00, 0.85, "retail", ("Travel", "Voyages", "Holidays")),
    Trade("4511", 0.4, 135, 0.85, 0.95, "basket", ("Airways", "Airlines", "Air")),
    Trade("7512", 0.2, 125, 0.75, 0.65, "basket", ("Car Rental", "Vehicle Hire")),
    Trade("7538", 0.4, 145, 0.95, 0.00, "basket", ("Motor Works", "Auto Service", "Mechanics")),
    Trade("7542", 0.4, 11, 0.45, 0.00, "round", ("Car Wash", "Wash Tunnel")),
    Trade("7216", 0.3, 17, 0.60, 0.00, "round", ("Dry Cleaning", "Laundry")),
    Trade("4215", 0.5, 9, 0.65, 0.60, "basket", ("Courier", "Parcels", "Delivery")),
    Trade("9402", 0.6, 7, 0.85, 0.15, "basket", ("Post Office", "Postal Counter")),
    Trade("9399", 0.3, 38, 0.85, 0.60, "round", ("City Services", "Registry", "Town Hall")),
    Trade("8299", 0.3, 58, 1.00, 0.75, "round", ("Academy", "Courses", "Learning")),
    Trade("6300", 0.5, 44, 0.80, 0.85, "basket", ("Insurance", "Mutual", "Assurance")),
    Trade("6011", 6.0, 60, 0.60, 0.00, "round", ("Cash Point", "Cash Machines", "Bank ATM")),
)  # fmt: skip

ATM_MCC = "6011"
ATM_TRADE, MARKETPLACE = (
    next(number for number, trade in enumerate(TRADES) if trade.mcc == mcc) for mcc in (ATM_MCC, "5399")
)

# Trades that sell by the month: telecoms, streaming, media, software, boxes, fitness.
SUBSCRIPTION_MCCS = ("4814", "4899", "5815", "5817", "5818", "5968", "7997")

_STEMS = (
    "Amber", "Alder", "Arc", "Aster", "Aurel", "Beacon", "Birch", "Blue Heron", "Bramble", "Brava", "Cedar", "Cinder",
    "Citrine", "Clover", "Cobalt", "Copper", "Coral", "Corvo", "Crane", "Dalia", "Dandelion", "Delta", "Dorado",
    "Drift", "Ebony", "Elder", "Ember", "Falco", "Fern", "Finch", "Flint", "Foxglove", "Garnet", "Ginger", "Glade",
    "Golden Oak", "Granite", "Green Lane", "Hazel", "Heron", "Hollow", "Indigo", "Iris", "Ivory", "Jade", "Juniper",
    "Kestrel", "Kite", "Lantern", "Larch", "Laurel", "Lilac", "Linden", "Lumen", "Lynx", "Maple", "Marlo", "Meadow",
    "Merle", "Mimosa", "Mint", "Mistral", "Moss", "Nacre", "Nettle", "Nimbus", "Nova", "Oak", "Ochre", "Olive",
    "Onyx", "Opal", "Orchard", "Osprey", "Otter", "Pebble", "Pepper", "Pine", "Plum", "Polar", "Poppy", "Quartz",
    "Quill", "Raven", "Red Gate", "River", "Rowan", "Saffron", "Sage", "Sable", "Sienna", "Silver", "Sorrel",
    "Sparrow", "Stone", "Sunny", "Swift", "Tamarind", "Teal", "Thistle", "Thyme", "Topaz", "Umber", "Velvet",
    "Verbena", "Vesper", "Violet", "Walnut", "Wild Rose", "Willow", "Wren", "Yarrow", "Zephyr", "Zinnia",
)  # fmt: skip
_PLACES = (
    "", "", "", "Alley", "Arcade", "Bridge", "Corner", "Court", "Dock", "East", "Field", "Gate", "Hill", "Lane", "Mill",
    "North", "Park", "Passage", "Quay", "Quarter", "Row", "Square", "Station", "Street", "Terrace", "Tower", "Vale",
    "View", "Wharf", "Yard",
)  # fmt: skip

# Where customers of any country travel and which foreign shops sell to them: widely visited countries, our choice.
DESTINATIONS = ("AT", "DE", "ES", "FR", "GB", "GR", "IT", "JP", "MX", "PT", "TH", "TR", "US")
ABROAD_RANKS = 500  # merchants of a destination that is not itself requested: its largest cities

# What everyday goods cost where a currency is used, relative to the euro area at exchange rates: our estimates, to one
# or two digits, after the order of magnitude of published price level indices; a currency not named counts as 1.
PRICE_LEVEL = {
    "ARS": 0.6, "BGN": 0.6, "BRL": 0.55, "CHF": 1.5, "CLP": 0.65, "CNY": 0.6, "COP": 0.45, "CZK": 0.85, "DKK": 1.35,
    "GBP": 1.1, "HUF": 0.7, "IDR": 0.4, "INR": 0.38, "JPY": 0.85, "KRW": 0.9, "MAD": 0.5, "MXN": 0.65, "MYR": 0.45,
    "PEN": 0.6, "PHP": 0.45, "PLN": 0.65, "RON": 0.6, "THB": 0.45, "TND": 0.45, "TRY": 0.45, "TWD": 0.7, "USD": 1.15,
    "VND": 0.4, "ZAR": 0.5,
}  # fmt: skip

LOCAL_MERCHANTS = 7000
ONLINE_MERCHANTS = 900
TAKE_TURNS = 200  # the busiest merchants of a country, whose price endings are shared out; see ``_endings``
ONLINE_SHARE = 0.34  # of purchases, at merchants that sell online only
LEADER_SHARE = 0.45  # of those, at the country's leading marketplace


@dataclass(frozen=True)
class _CountryMerchants:
    """One country's merchants in euros; local ones first, by city, then those online."""

    trade: NDArray[np.int64]  # index into TRADES
    city: NDArray[np.int64]  # index into the country's cities
    online: NDArray[np.bool_]
    popularity: NDArray[np.float64]  # sums to 1
    price: NDArray[np.float64]  # EUR
    sigma: NDArray[np.float64]
    ending: NDArray[np.int8]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    name_parts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]  # stem, place, which noun (0 to 1)

    def names(self, n: int, city_names: NDArray[Any]) -> NDArray[Any]:
        """Names of the first ``n`` merchants; those of shops end with their city."""
        stem, place, noun = (part[:n] for part in self.name_parts)
        trade = self.trade[:n]
        chosen = (noun * np.array([len(item.nouns) for item in TRADES])[trade]).astype(np.int64)
        where = np.where(self.online[:n], "", " " + city_names[self.city[:n]])
        return np.asarray(_prefixes()[stem, place] + _nouns()[trade, chosen] + where)


@lru_cache(maxsize=1)
def _prefixes() -> NDArray[Any]:
    """What a merchant's name begins with, for each stem and place."""
    return np.array([[f"{stem} {place} " if place else f"{stem} " for place in _PLACES] for stem in _STEMS], object)


@lru_cache(maxsize=1)
def _nouns() -> NDArray[Any]:
    """The nouns of each trade, in rows of equal length."""
    most = max(len(trade.nouns) for trade in TRADES)
    return np.array([[*trade.nouns, *[""] * (most - len(trade.nouns))] for trade in TRADES], object)


def _endings(
    random: np.random.Generator, trade: NDArray[np.int64], popularity: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Each merchant's habit of price endings.

    Drawn from its trade's shares; but the busiest take turns, so that their purchases together keep to the shares: one
    large shop with a habit of its own would otherwise set a whole country's.
    """
    shares = np.array([_HABITS[item.habit] for item in TRADES])
    drawn = (random.random(len(trade))[:, None] > np.cumsum(shares, axis=1)[trade]).sum(axis=1).clip(0, 5)
    owed = np.zeros(shares.shape[1])
    for merchant in np.argsort(-popularity, kind="stable")[:TAKE_TURNS]:
        owed += popularity[merchant] * shares[trade[merchant]]
        # Its trade's usual endings only, whatever is owed.
        drawn[merchant] = np.where(shares[trade[merchant]] >= 0.04, owed, -np.inf).argmax()
        owed[drawn[merchant]] -= popularity[merchant]
    return np.asarray(drawn, dtype=np.int8)


@lru_cache(maxsize=256)
def _country_merchants(population_seed: int, country: str) -> _CountryMerchants:
    random = rng(population_seed, "world", country)
    places = cities(country)
    share = np.array([trade.share for trade in TRADES])
    online_share = np.array([trade.online for trade in TRADES])

    # Bigger cities have more shops, but not in proportion: each shop there is also busier.
    per_city = np.maximum(places.population**0.75 / np.sum(places.population**0.75) * LOCAL_MERCHANTS, 30).astype(int)
    n_local = int(per_city.sum())
    local_city = np.repeat(np.arange(len(per_city)), per_city)
    local_share = share * (1 - online_share)
    ranked = np.argsort(-local_share, kind="stable")
    # Every city has the essentials (the 16 biggest trades, cash machines among them); the rest is drawn.
    place_in_city = np.arange(n_local) - np.repeat(np.cumsum(per_city) - per_city, per_city)
    drawn = random.choice(len(TRADES), n_local, p=local_share**0.7 / np.sum(local_share**0.7))
    local_trade = np.where(place_in_city < 16, ranked[np.minimum(place_in_city, 15)], drawn)
    far_share = share * online_share
    far_trade = random.choice(len(TRADES), ONLINE_MERCHANTS, p=far_share**0.6 / np.sum(far_share**0.6))
    n = n_local + ONLINE_MERCHANTS
    trade = np.concatenate([local_trade, far_trade])
    online = np.arange(n) >= n_local
    far_city = random.choice(len(per_city), ONLINE_MERCHANTS, p=places.population / places.population.sum())
    city = np.concatenate([local_city, far_city])

    # Heavy tail within a trade and city: a Pareto weight of exponent 0.7, cut at 2,000 times the least.
    weight = np.minimum(random.random(n) ** -1.4, 2000.0)
    group = np.where(online, len(per_city), city) * len(TRADES) + trade
    # Business gathers in the big trades more than the shares of purchases say, for favourites are spread evenly.
    busy = np.where(online, far_share[trade] ** 1.8, local_share[trade] ** 1.4)
    weight *= busy / np.bincount(group, weight)[group]
    city_weight = places.population**0.9
    area = np.where(online, len(per_city), city)
    area_total = np.append(city_weight / city_weight.sum() * (1 - ONLINE_SHARE), ONLINE_SHARE)
    weight *= area_total[area] / np.bincount(area, weight)[area]
    # One marketplace leads in every country.
    leader = np.where(online & (trade == MARKETPLACE), weight, -1.0).argmax()
    weight[online] *= (1 - LEADER_SHARE) * ONLINE_SHARE / (ONLINE_SHARE - weight[leader])
    weight[leader] = LEADER_SHARE * ONLINE_SHARE

    ending = _endings(random, trade, np.where(trade == ATM_TRADE, 0.0, weight))
    price = np.array([item.price for item in TRADES])[trade] * np.exp(random.normal(0, 0.38, n))
    # Longitude degrees shrink towards the poles; at 60° this is still within a city.
    latitude = places.latitude[city] + random.normal(0, 0.025, n)
    longitude = places.longitude[city] + random.normal(0, 0.035, n)
    stem, place, noun = random.integers(0, len(_STEMS), n), random.integers(0, len(_PLACES), n), random.random(n)
    return _CountryMerchants(
        trade=trade,
        city=city,
        online=online,
        popularity=weight,
        price=price,
        sigma=np.array([item.sigma for item in TRADES])[trade] * random.uniform(0.6, 0.95, n),
        ending=ending,
        latitude=np.round(latitude.clip(-90, 90), 2),
        longitude=np.round((longitude + 180) % 360 - 180, 2),
        name_parts=(stem, place, noun),
    )


@dataclass(frozen=True)
class World:
    """Merchants and places of the requested countries, and of the destinations people travel to.

    Merchant arrays have one entry a merchant, sorted by key; city arrays one a city. Amounts are minor units.
    """

    population_seed: int
    currency: str
    digits: int  # decimals of the currency
    eur: float  # minor units of one euro's worth of goods
    unit: int  # minor units of ``money.unit_amount``
    threshold: int  # a round sum near 10,000 euros' worth, as cash-reporting thresholds are
    countries: tuple[str, ...]  # as requested
    city_name: NDArray[Any]
    city_latitude: NDArray[np.float64]
    city_longitude: NDArray[np.float64]
    city_country: NDArray[np.int16]  # index into COUNTRY_CODES
    city_population: NDArray[np.int64]
    city_timezone: list[str]
    merchant_key: NDArray[np.int64]  # country index << 20 | rank: the same whichever countries are requested
    merchant_name: NDArray[Any]
    merchant_mcc: NDArray[Any]
    merchant_country: NDArray[np.int16]
    merchant_city: NDArray[np.int32]  # index into this world's cities
    merchant_online: NDArray[np.bool_]  # sells online only
    merchant_popularity: NDArray[np.float64]  # sums to 1 over a whole country
    merchant_price: NDArray[np.int64]  # typical amount
    merchant_price_sigma: NDArray[np.float64]  # of ln(amount) around it
    merchant_ending: NDArray[np.int8]  # FREE … NINETY
    merchant_latitude: NDArray[np.float64]
    merchant_longitude: NDArray[np.float64]
    merchant_home: NDArray[np.bool_]  # in a requested country

    def position(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of merchant keys in the merchant arrays. Raises ``KeyError`` on a key of another world."""
        positions = np.searchsorted(self.merchant_key, keys)
        if len(keys) and not np.array_equal(self.merchant_key[np.minimum(positions, len(self.merchant_key) - 1)], keys):
            raise KeyError("a merchant key is not of this world")
        return positions

    @cached_property
    def atm(self) -> NDArray[np.bool_]:
        """Which merchants are operators of cash machines; they take part in no purchase."""
        return np.asarray(self.merchant_mcc == ATM_MCC)

    @cached_property
    def _sells(self) -> tuple[dict[str, int], NDArray[np.int64]]:
        """(a number for each category, each merchant's): comparing numbers is much faster than comparing words."""
        categories, numbers = np.unique(self.merchant_mcc.astype("U4"), return_inverse=True)
        return {str(category): number for number, category in enumerate(categories)}, numbers

    @cached_property
    def subscription_sellers(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(positions, cumulated share ending at 1) of the merchants that sell by the month, online ones at home.

        They are fewer and larger than popularity among all purchases would say.
        """
        by_the_month = np.isin(self.merchant_mcc.astype("U4"), SUBSCRIPTION_MCCS)
        sellers = np.flatnonzero(by_the_month & self.merchant_online & self.merchant_home)
        if not len(sellers):
            sellers = self.pool(online=True)[0]
        share = np.cumsum(self.merchant_popularity[sellers] ** 1.6)
        return sellers, share / share[-1]

    @cached_property
    def _pools(self) -> dict[tuple[bool | None, str | None, int | None], tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return {}

    def pool(
        self, online: bool | None = None, mcc: str | None = None, country: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(positions, cumulated popularity ending at 1) of the merchants that fit.

        Without ``mcc`` there are no cash machines; without ``country`` only requested countries. Where nothing fits,
        a filter is dropped: for shops online the country, else the category, then both; ``online`` itself last, for
        no honest payment on the web is made at a shop that is not on it.
        """
        key = (online, mcc, country)
        if key not in self._pools:
            wider = ((online, mcc, None), (online, None, country))
            for o, m, c in (
                (online, mcc, country),
                *(wider if online else reversed(wider)),
                (online, None, None),
                (None, None, None),
            ):
                fits = ~self.atm if m is None else self._sells[1] == self._sells[0].get(m, -1)
                fits = fits & (self.merchant_home if c is None else self.merchant_country == c)
                if o is not None:
                    fits = fits & (self.merchant_online == o)
                if fits.any():
                    break
            positions = np.flatnonzero(fits)
            cumulated = np.cumsum(self.merchant_popularity[positions])
            self._pools[key] = positions, cumulated / cumulated[-1]
        return self._pools[key]

    def pick_merchants(
        self,
        random: np.random.Generator,
        n: int,
        *,
        online: bool | None = None,
        mcc: str | None = None,
        country: int | None = None,
    ) -> NDArray[np.int64]:
        """``n`` merchant positions drawn by popularity from ``pool(online, mcc, country)``, which see."""
        return self.from_pool(random.random(n), online=online, mcc=mcc, country=country)

    def from_pool(
        self, luck: NDArray[Any], *, online: bool | None = None, mcc: str | None = None, country: int | None = None
    ) -> NDArray[np.int64]:
        """As ``pick_merchants``, by given numbers in [0, 1): equal luck, equal merchant."""
        positions, cumulated = self.pool(online, mcc, country)
        drawn = np.searchsorted(cumulated, luck, side="right")
        return np.asarray(positions[np.minimum(drawn, len(positions) - 1)])

    @cached_property
    def _local(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        return self._by_city(~self.merchant_online & ~self.atm)

    @cached_property
    def _cash(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        return self._by_city(self.atm)

    def _by_city(
        self, fits: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        positions = np.flatnonzero(fits)
        positions = positions[np.argsort(self.merchant_city[positions], kind="stable")]
        cumulated = np.concatenate([[0.0], np.cumsum(self.merchant_popularity[positions])])
        n = np.arange(len(self.city_country))
        where = self.merchant_city[positions]
        return positions, cumulated, np.searchsorted(where, n), np.searchsorted(where, n, side="right")

    def pick_in_city(self, random: np.random.Generator, city: NDArray[Any], *, atm: bool = False) -> NDArray[np.int64]:
        """One shop (or cash machine) position for each entry of ``city``, by popularity within that city."""
        return self.in_city(random.random(len(city)), city, atm=atm)

    def in_city(self, luck: NDArray[Any], city: NDArray[Any], *, atm: bool = False) -> NDArray[np.int64]:
        """As ``pick_in_city``, by given numbers in [0, 1): equal luck, equal merchant."""
        positions, cumulated, low, high = self._cash if atm else self._local
        bottom, top = cumulated[low[city]], cumulated[high[city]]
        drawn = np.searchsorted(cumulated, bottom + luck * (top - bottom), side="right") - 1
        return np.asarray(positions[np.clip(drawn, low[city], high[city] - 1)])

    def destinations(self) -> NDArray[np.int64]:
        """City indices that travellers go to: the largest two of every country with merchants."""
        order = np.flatnonzero(np.isin(np.arange(len(self.city_country)), self.merchant_city[~self.merchant_online]))
        country = self.city_country[order]
        first = np.searchsorted(country, country)
        return np.asarray(order[np.arange(len(order)) - first < 2])

    def snap(self, random: np.random.Generator, amounts: NDArray[Any], ending: NDArray[np.int8]) -> NDArray[np.int64]:
        """Amounts (minor units) moved to the nearest one with the given price ending; at least the smallest step.

        The step is a hundredth of ``unit``, so that prices look natural in currencies without small coins. One in
        four keeps no habit: baskets and weights break it.
        """
        step = max(1, self.unit // 100)
        free = np.maximum(np.rint(amounts / step), 1).astype(np.int64) * step
        tail = ENDING_HUNDREDTHS[ending] * (self.unit // 100)
        fixed = np.rint((amounts - tail) / self.unit).astype(np.int64) * self.unit + tail
        keeps = (ending != FREE) & (fixed > 0) & (random.random(len(amounts)) > 0.25)
        return np.where(keeps, fixed, free)

    def amounts(
        self, random: np.random.Generator, merchants: NDArray[Any], factor: NDArray[Any] | float = 1.0
    ) -> NDArray[np.int64]:
        """One purchase amount (minor units) at each merchant position: its price, times ``factor``, its spread."""
        noise = np.exp(random.normal(0.0, 1.0, len(merchants)) * self.merchant_price_sigma[merchants])
        return self.snap(random, self.merchant_price[merchants] * factor * noise, self.merchant_ending[merchants])


def _round_figure(amount: float) -> int:
    """The nearest of 1, 2, 5 times a power of ten, by ratio."""
    exponent = floor(log10(amount))
    figures: list[int] = [digit * 10 ** (exponent + up) for up in (0, 1) for digit in (1, 2, 5)]
    return min(figures, key=lambda figure: abs(log(figure / amount)))


@lru_cache(maxsize=8)
def world(population_seed: int, countries: tuple[str, ...], currency: str) -> World:
    """The world of a population seed, seen from the requested countries (ISO alpha-2), in a currency (ISO 4217).

    A country's cities and merchants depend on (population_seed, country) alone, prices also on the currency's
    level. Raises ``InvalidRequestError`` for a country without a city.
    """
    home = {country_index(country) for country in countries}
    indices = sorted(home | {country_index(country) for country in DESTINATIONS})
    eur = UNITS_PER_EUR[currency] * PRICE_LEVEL.get(currency, 1.0) * 10 ** minor_digits(currency)
    columns: dict[str, list[NDArray[Any]]] = {}
    places: dict[str, list[NDArray[Any]]] = {}
    timezones: list[str] = []
    for index in indices:
        where, shops = cities(COUNTRY_CODES[index]), _country_merchants(population_seed, COUNTRY_CODES[index])
        n = len(shops.trade) if index in home else min(ABROAD_RANKS, len(shops.trade))
        for name, column in {
            "merchant_key": (index << 20) | np.arange(n),
            "merchant_name": shops.names(n, where.name),
            "merchant_mcc": np.array([trade.mcc for trade in TRADES], dtype=object)[shops.trade],
            "merchant_country": np.full(n, index, dtype=np.int16),
            "merchant_city": (shops.city + len(timezones)).astype(np.int32),
            "merchant_online": shops.online,
            "merchant_popularity": shops.popularity,
            "merchant_price": np.maximum(np.rint(shops.price * eur), 1).astype(np.int64),
            "merchant_price_sigma": shops.sigma,
            "merchant_ending": shops.ending,
            "merchant_latitude": shops.latitude,
            "merchant_longitude": shops.longitude,
            "merchant_home": np.full(n, index in home),
        }.items():
            columns.setdefault(name, []).append(column[:n])
        for name, column in {
            "city_name": where.name,
            "city_latitude": where.latitude,
            "city_longitude": where.longitude,
            "city_country": np.full(len(where.timezone), index, dtype=np.int16),
            "city_population": where.population,
        }.items():
            places.setdefault(name, []).append(column)
        timezones.extend(where.timezone)
    return World(
        population_seed=population_seed,
        currency=currency,
        digits=minor_digits(currency),
        eur=eur,
        unit=unit_amount(currency) * 10 ** minor_digits(currency),
        threshold=_round_figure(10_000 * eur),
        countries=countries,
        city_timezone=timezones,
        **{name: np.concatenate(parts) for name, parts in places.items()},
        **{name: np.concatenate(parts) for name, parts in columns.items()},
    )
