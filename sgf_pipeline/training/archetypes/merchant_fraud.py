"""Archetypes of merchant fraud.

Belongs here: plans of how shops steal, after what card schemes, acquirers, consumer bodies and courts publish about
bust-outs, points of compromise, refund fraud, subscription traps and transaction laundering. Does not belong here:
which steps exist (``sgf_pipeline.scenarios.merchant_fraud``).
"""

from sgf_pipeline.scenarios.merchant_fraud import LIMITS
from sgf_pipeline.training.archetypes.base import WHO, Archetype, Book, Extra, Move, Range


def sale(
    n: int, wait: int = 0, span: int = 100, at: str = "@", low: float = 0.7, high: float = 1.3, only: str = "lmh",
    chance: float = 1,
) -> Move:  # fmt: skip
    return Move("honest_sale", at, "habit", low, high, n, wait, span, only, chance)


def swipe(n: int, wait: int = 0, span: int = 100, low: float = 0.7, high: float = 1.3) -> Move:
    return Move("captured_purchase", "pos", "habit", low, high, n, wait, span)


def trial(n: int, low: float, high: float, wait: int = 0, span: int = 100, at: str = "@") -> Move:
    return Move("trial_charge", at, "unit", low, high, n, wait, span)


def order(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("undelivered_order", at, "habit", low, high, n, wait, span, only, chance)


def buy(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("skimmed_purchase", at, "habit", low, high, n, wait, span, only, chance)


def draw(n: int, low: float, high: float, wait: int, span: int, only: str = "lmh", chance: float = 1) -> Move:
    return Move("skimmed_cash", "atm", "habit", low, high, n, wait, span, only, chance)


def sham(
    n: int, low: float, high: float, wait: int = 0, span: int = 100, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("sham_sale", at, "habit", low, high, n, wait, span, only, chance)


def back(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("self_refund", at, "carry", low, high, n, wait, span, only, chance)


def over(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("inflated_charge", at, "habit", low, high, n, wait, span, only, chance)


def again(n: int, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1) -> Move:
    return Move("repeated_charge", at, "habit", 1, 1, n, wait, span, only, chance, fixed=True)


def fee(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("hidden_renewal", at, "unit", low, high, n, wait, span, only, chance)


def other(
    n: int, low: float, high: float, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("laundered_sale", at, "habit", low, high, n, wait, span, only, chance)


def hush(
    n: int, wait: int, span: int, low: float = 0.9, high: float = 1.0, only: str = "lmh", chance: float = 1
) -> Move:
    return Move("quieting_refund", "@", "carry", low, high, n, wait, span, only, chance)


def dispute(n: int, wait: int, span: int, only: str = "lmh", chance: float = 1) -> Move:
    return Move("victim_dispute", "@", "carry", 0.95, 1.0, n, wait, span, only, chance)


def plan(
    name: str, vector: str, customers: Range, outsiders: Range, devices: Range, addresses: Range, categories: str,
    steps: list[Move], *stories: str, **cells: tuple[str, ...],
) -> Archetype:  # fmt: skip
    return Archetype(
        name,
        vector,
        customers,
        outsiders,
        devices,
        addresses,
        tuple(categories.split()),
        tuple(steps),
        stories,
        **cells,
    )


FAST = {"tempos": ("burst", "steady")}
CAREFUL = {"tempos": ("steady", "slow")}
SKILLED = {"sophistications": ("medium", "high")}

# fmt: off
BUST_OUT = (
    plan("weekend_electronics_sale", "bust_out_shop", (7, 18), (1, 2), (1, 3), (1, 4), "5732 5045",
         [order(12, 1.2, 3, 0, 300)],
         "A web shop for electronics offered consoles far below price for one weekend and never shipped.",
         "{who} paid for discounted phones {pace}; the shop's page was gone before any parcel could arrive.",
         "Orders pour in at a shop that was nearly unknown {where}, all for its dearest machines."),
    plan("honest_first_month", "bust_out_shop", (8, 16), (1, 1), (1, 3), (1, 5), "5651 5661 5621",
         [sale(6, 0, 600), order(9, 1.3, 3.5, 300, 500)],
         "A fashion shop delivered its first orders on time, gathered praise and then stopped delivering.",
         "After honest sales the baskets grew and nothing was sent any more {where}.",
         "{who} trusted the good reviews of early buyers and wait for clothes that do not exist."),
    plan("ladder_of_baskets", "bust_out_shop", (9, 18), (1, 2), (2, 5), (2, 7), "5399 5964",
         [sale(4, 0, 300), order(4, 0.8, 1.3, 100, 200), order(4, 1.5, 2.5, 100, 200),
          order(4, 3, 6, 100, 150, only="mh")],
         "Each wave of orders at a mail-order shop was dearer than the one before, and none was fulfilled.",
         "The shop raised its baskets step by step {pace} until the acquirer closed it.",
         "A marketplace seller began with usual sums and ended with several times as much {where}."),
    plan("hush_the_loud_ones", "bust_out_shop", (7, 14), (1, 1), (1, 4), (2, 6), "5945",
         [order(6, 1, 2.5, 0, 300), hush(2, 300, 200), order(6, 1.5, 3.5, 100, 400)],
         "A toy shop refunded the first parents who complained and took new orders from everybody else.",
         "Two refunds kept the reviews clean while the undelivered orders went on {where}.",
         "{who} were told of delays at the customs; whoever insisted got the money back, the rest nothing."),
    plan("disputes_catch_up", "bust_out_shop", (6, 13), (1, 2), (1, 3), (1, 4), "5719 5712",
         [sale(3, 0, 200), order(9, 1.2, 3, 200, 400), dispute(3, 2500, 500)],
         "A furniture shop sold sofas that never came; the first disputes reached the bank at the end.",
         "Interior goods were paid in advance {pace} and the buyers' banks began to take the money back.",
         "{who} waited for furniture, then disputed; by that time the seller had emptied its account.", **CAREFUL),
    plan("three_faces_one_owner", "bust_out_shop", (9, 20), (2, 4), (3, 7), (3, 9), "5941 5732",
         [sale(3, 0, 150, only="mh"), order(5, 1, 2, 100, 200), order(5, 1.3, 3, 100, 200, at="~"),
          order(4, 1.5, 4, 50, 150)],
         "Several new shops with the same templates collected orders side by side and closed on one day.",
         "Bicycles and gadgets were sold under changing names {where}; no name delivered.",
         "When one page was reported the next took over, with the same articles and prices.", **SKILLED),
    plan("app_flash_deal", "bust_out_shop", (6, 15), (1, 1), (1, 2), (1, 3), "5977 5944",
         [order(10, 0.6, 1.6, 0, 60, at="mobile"), order(3, 2, 5, 30, 30, chance=0.5)],
         "An advert on social media sold trinkets by telephone screen; the parcels were a story.",
         "{who} bought from an advert {pace} and got a tracking number that leads nowhere.",
         "Small impulsive orders by app at a shop without an address, many in a short time.", **FAST),
    plan("season_shop", "bust_out_shop", (8, 17), (1, 2), (1, 3), (2, 5), "5947 5261 5992",
         [sale(7, 0, 900, low=0.5, high=1), sale(3, 200, 300, only="h"), order(10, 1, 2, 400, 300)],
         "A small shop lived quietly off minor sales until the season and vanished with the orders for it.",
         "Presents were ordered for the holidays and paid; the shop had no stock at all {where}.",
         "{who} ordered early for the season; the shop existed as a web page only.", **CAREFUL),
    plan("pay_twice_for_customs", "bust_out_shop", (5, 11), (1, 2), (1, 4), (1, 6), "5964 5621 5641",
         [order(6, 0.8, 2, 0, 300), order(5, 0.3, 0.6, 400, 300)],
         "First the goods were paid, then a supposed import duty, and neither led to a parcel.",
         "Each order is followed by a smaller one for freight {pace}, from the same buyers.",
         "{who} paid for a coat and then for its release from customs; the coat never left anywhere."),
    plan("bought_reputation", "bust_out_shop", (8, 18), (1, 3), (2, 6), (3, 9), "5045 5732",
         [sale(5, 0, 500, low=0.4, high=0.8), order(3, 0.8, 1.5, 200, 200), hush(1, 100, 10), order(6, 2, 6, 150, 200),
          order(2, 4, 9, 60, 30, only="h")],
         "An old shop with good ratings changed owners and its prices for computers fell by half.",
         "After the sale of the business come cheap cables delivered, then dear laptops that are not.",
         "A trusted name {where} turned: small goods still arrive, the large ones never do.", **SKILLED),
)

SKIMMING = (
    plan("restaurant_handheld", "skimming_terminal", (6, 14), (2, 5), (1, 3), (1, 5), "5812 5813",
         [swipe(9, 0, 300), buy(8, 1.5, 5, 900, 400, at="ecommerce")],
         "A waiter's second reader copied the cards of evening guests, which later paid for web orders.",
         "Guests of one restaurant find strange online orders {where} some time after their dinner.",
         "All affected cards had paid in the same dining room; {who} remember nothing unusual."),
    plan("pump_overlay", "skimming_terminal", (7, 16), (2, 4), (1, 2), (1, 4), "5541 5542",
         [swipe(10, 0, 600), draw(9, 4, 10, 1500, 300)],
         "An overlay at a filling station read the stripe and a camera the PIN; cash was drawn later.",
         "Cash machines {where} paid out on copies of cards that had bought fuel at one pump.",
         "{who} filled up their cars and lost cash from their accounts, at machines they never visited."),
    plan("car_park_to_electronics", "skimming_terminal", (5, 12), (3, 6), (2, 5), (2, 7), "7523",
         [swipe(8, 0, 400, low=0.5), buy(3, 2, 6, 1000, 200, at="pos"), buy(4, 2, 7, 200, 200, at="ecommerce"),
          draw(3, 3, 8, 100, 200, only="mh")],
         "A ticket machine in a car park copied cards that were then used in shops, online and for cash.",
         "Parking was paid and days later everything at once: terminals, web orders and cash {where}.",
         "One unattended terminal is common to all the victims; the uses are spread over several trades."),
    plan("one_copy_one_night", "skimming_terminal", (4, 9), (2, 3), (1, 2), (1, 3), "5813",
         [swipe(5, 0, 120), draw(6, 6, 14, 240, 60), buy(3, 3, 9, 30, 60, at="pos", chance=0.6)],
         "A bar's cards were copied in the evening and milked at cash machines in the same night.",
         "Cash and cigarettes on copied cards {pace}, a short drive from the bar.",
         "{who} were robbed of cash before they had come home from the bar.", **FAST),
    plan("sleeping_copies", "skimming_terminal", (7, 15), (3, 7), (2, 5), (3, 9), "5912",
         [swipe(9, 0, 900), buy(4, 0.7, 1.6, 6000, 500, at="ecommerce"), buy(5, 1, 2.5, 800, 600, at="ecommerce")],
         "Copies from a pharmacy's terminal rested for long and were then used in amounts like the holders' own.",
         "The point of compromise is old; the uses {where} look like ordinary web shopping.",
         "{who} notice orders within their habit, and only the common pharmacy ties them together.",
         tempos=("steady", "slow"), sophistications=("medium", "high")),
    plan("sold_to_the_web", "skimming_terminal", (6, 13), (4, 8), (3, 8), (4, 12), "4121 7542 5994",
         [swipe(8, 0, 300), buy(9, 1, 4, 2000, 700, at="ecommerce"), buy(3, 2, 8, 200, 100, at="mobile", only="mh")],
         "The numbers captured at one till were sold and are used by buyers who know nothing of each other.",
         "Many devices and shops {where} for cards whose only common ground is one small terminal.",
         "One terminal leaked all these cards; their uses share neither goods nor sums."),
    plan("shimmer_and_cloned_stripe", "skimming_terminal", (5, 11), (2, 4), (1, 3), (1, 4), "5814 5499",
         [swipe(6, 0, 200), buy(8, 1.5, 4, 700, 500, at="pos")],
         "Cloned stripes of cards from a snack bar were used at terminals that still read stripes.",
         "Counter purchases on copies {where}, in shops where the holders have never been.",
         "{who} hold their card in hand while its copy pays in another town."),
    plan("two_rounds_of_guests", "skimming_terminal", (8, 16), (2, 6), (2, 4), (2, 6), "7230",
         [swipe(5, 0, 200), draw(4, 3, 9, 600, 200), swipe(5, 200, 300), draw(4, 4, 10, 600, 200),
          buy(3, 1.5, 4, 100, 200, at="ecommerce", only="h")],
         "The terminal went on copying while the first cards were already being emptied.",
         "Two generations of victims of one salon: cash is drawn on each after some rest {where}.",
         "{who} of one hairdresser lose cash in two waves, each after a new group of visits."),
    plan("small_cash_first", "skimming_terminal", (5, 12), (2, 4), (1, 4), (1, 6), "5994 5993",
         [swipe(7, 0, 300, low=0.4, high=1), draw(4, 2, 3, 800, 200), draw(6, 6, 13, 200, 200)],
         "Copied cards gave a small note first and then as much as the machine allowed.",
         "A kiosk's customers see a small withdrawal {where} that was only the rehearsal.",
         "Machines were tried with small sums and came back to for large ones {pace}."),
)

SELF_REFUND = (
    plan("one_receipt_many_refunds", "self_refund", (1, 2), (1, 1), (1, 2), (1, 3), "5661 5651 5311 5732 5200 5941",
         [sham(2, 0.3, 0.8, 0, 60), back(8, 0.9, 1, 200, 600)],
         "One article was sold to the owner's card and refunded to it over and over.",
         "The same receipts serve for refund after refund {pace}; no goods ever came back.",
         "A shop's own card takes back many times what it paid, always in the sum of the same receipt."),
    plan("cashier_and_cousins", "self_refund", (2, 4), (1, 1), (1, 3), (1, 4), "5311 5411 5912 5651 5942",
         [sham(4, 0.2, 0.6, 0, 200), back(5, 0.8, 1, 300, 300), back(4, 0.9, 1, 300, 300, only="mh")],
         "A cashier booked small sales to relatives' cards and refunds to them after closing time.",
         "Refunds at a busy shop go to a handful of cards that hardly ever buy {where}.",
         "{who} related to one employee receive refunds without having returned anything."),
    plan("partial_refund_drip", "self_refund", (1, 3), (1, 2), (1, 3), (1, 4), "5944 8043 5732 5661 5977",
         [sham(3, 0.5, 1.2, 0, 300), back(10, 0.25, 0.5, 400, 2000)],
         "A dealer refunded his own purchase in slices, which together exceed it by far.",
         "Odd partial refunds trickle to the same cards {pace}, none of them large enough to be looked at.",
         "Slices of a sale come back again and again to a card close to the shop {where}.", **CAREFUL),
    plan("closing_down_refunds", "self_refund", (2, 4), (1, 2), (1, 4), (2, 6), "5712 5719 5200 5945 5995",
         [sham(6, 1, 2.5, 0, 300), back(6, 1, 1, 900, 120)],
         "Shortly before its bankruptcy a shop refunded its friends at the acquirer's expense.",
         "All sales to a circle of cards were refunded at once, after the shop had emptied its account.",
         "The takings had been paid out and then every sale was reversed {pace}."),
    plan("sell_refund_sell", "self_refund", (1, 3), (1, 1), (1, 2), (1, 3), "5732 5045 5941 5251 5499",
         [sham(2, 0.3, 0.7, 0, 50), back(4, 1, 1, 100, 100), sham(2, 0.3, 0.8, 300, 50), back(5, 1, 1, 100, 200)],
         "Sales and refunds alternate on the owner's card, and the refunds always outnumber the sales.",
         "A shop buys from itself and pays itself back more often than it bought {where}.",
         "The pattern of sale, refund, refund repeats at one dealer {pace}."),
    plan("growing_confidence", "self_refund", (1, 3), (1, 1), (1, 3), (1, 5), "5941 5945 5661 5621 5331",
         [sham(1, 0.2, 0.5, 0, 1), back(2, 1, 1, 200, 100), sham(3, 0.8, 2, 400, 200), back(7, 1, 1, 200, 500)],
         "A first small refund passed unnoticed, so the shop went on with larger ones.",
         "After one test refund the sums grow {where}, on the cards of two or three insiders.",
         "{who} close to a shopkeeper live off refunds that started with the price of a trifle."),
    plan("web_shop_loop", "self_refund", (2, 4), (2, 4), (2, 6), (2, 8), "5977 5621 5641 5947 5719",
         [sham(5, 0.4, 1, 0, 400), back(5, 0.7, 1, 100, 400, at="~"), back(5, 0.9, 1, 100, 400)],
         "Several web shops of one owner buy from and refund to the same few cards.",
         "Refunds come from differing shop names {where} to cards that share a device.",
         "Insider cards move from shop to shop and leave each with more than they brought.", **SKILLED),
    plan("night_key_refunds", "self_refund", (1, 2), (1, 1), (1, 2), (1, 2), "5311 5651 5411 5912 5261",
         [sham(1, 0.1, 0.4, 0, 1), back(11, 0.9, 1, 60, 200)],
         "Somebody with the refund key paid a till's takings to a card, receipt by receipt, in one go.",
         "One tiny purchase and then a long row of refunds of it {pace}.",
         "A temporary employee's card is credited from the till until the shift ends."),
)

OVERCHARGING = (
    plan("tourist_menu", "overcharging", (5, 13), (1, 1), (1, 2), (1, 3), "5812 5814",
         [over(10, 2, 6, 0, 600)],
         "Guests were shown one sum and charged another, several times as high, at the table.",
         "{who} discover at home that a simple lunch {where} cost as much as a feast.",
         "A restaurant's amounts on this bank's cards lie far above what its guests usually spend."),
    plan("minibar_afterwards", "overcharging", (5, 11), (1, 2), (1, 3), (1, 5), "7011",
         [sale(5, 0, 300), over(5, 1.3, 2.5, 1200, 500), over(3, 2, 4, 500, 300, only="mh")],
         "A guest house charged stays correctly and later added damages and minibar to the stored cards.",
         "After the departure come further charges {where} that no guest had signed for.",
         "{who} paid their room and were billed again for things they had not consumed."),
    plan("rental_damage_invoice", "overcharging", (4, 9), (1, 2), (1, 3), (1, 4), "7512",
         [sale(4, 0, 400), over(6, 2, 5, 1200, 600), dispute(2, 3000, 300)],
         "A car rental invented scratches and took their price from the cards on file.",
         "Weeks of silence, then invoices for damage nobody had seen; some victims dispute {where}.",
         "{who} returned the car in order and paid for its repair all the same.", **CAREFUL),
    plan("tip_added_later", "overcharging", (6, 14), (1, 1), (1, 2), (1, 3), "5812 5813",
         [sale(7, 0, 300), over(7, 1.2, 1.6, 200, 300)],
         "After the guests had left, a generous tip was added to a second charge of the same cards.",
         "Sums a little above the agreed ones follow each genuine payment {pace}.",
         "{who} would hardly notice: the second charge is the first with a fifth on top."),
    plan("gym_exit_fee", "overcharging", (5, 12), (1, 2), (1, 4), (2, 6), "7997 4814 8299",
         [sale(5, 0, 500, low=0.8, high=1), over(4, 1.2, 2, 500, 300, at="~"), over(5, 2.5, 6, 600, 300)],
         "A provider raised its fees on stored cards and finally took a penalty for leaving.",
         "Contract fees swell {where}, first modestly and then to many times the price.",
         "{who} who gave notice were charged a leaving fee that no contract mentions."),
    plan("decimal_slip", "overcharging", (4, 9), (1, 1), (1, 2), (1, 2), "4121 5814 5712 7230 5499",
         [sale(2, 0, 100, chance=0.5), over(6, 8, 10, 100, 300)],
         "The decimal point slipped by one place at a shop's terminal, again and again.",
         "Tenfold sums on cards of strangers {where}; the owner calls it a mistake each time.",
         "{who} signed small slips and find sums ten times as large on the statement."),
    plan("insurance_extras", "overcharging", (6, 14), (1, 3), (2, 6), (3, 9), "6300 8299 4814 5734",
         [sale(4, 0, 300), over(4, 1.3, 2, 400, 300), hush(1, 200, 10), over(5, 1.5, 3, 300, 400)],
         "Additional services were charged to stored cards; whoever asked got the money back at once.",
         "Extras that were never ordered {pace}, with a quick refund for the attentive.",
         "The seller books extras on cards on file and relies on nobody reading statements.", **SKILLED),
    plan("sweep_of_old_cards", "overcharging", (8, 18), (1, 2), (2, 5), (2, 7), "7011 8299 5712",
         [over(5, 1.2, 1.8, 0, 200), over(7, 2, 7, 200, 300)],
         "Before closing down, a firm charged every card it still had on file.",
         "Cards of customers who had last bought long ago are charged {pace}, some of them highly.",
         "{who} are debited by a shop they had forgotten {where}."),
)

DUPLICATES = (
    plan("till_prints_twice", "duplicate_charges", (6, 14), (1, 1), (1, 2), (1, 2), "5411 5499 5912 5331",
         [sale(8, 0, 300), again(8, 30, 300)],
         "A till booked each sale a second time some time after the customer had left.",
         "Every genuine sum appears twice {where}, and the shop blames its terminal.",
         "{who} see their shopping twice on the statement, to the cent."),
    plan("batch_sent_again", "duplicate_charges", (7, 16), (1, 1), (1, 3), (1, 4), "5814 7832 5942 4111",
         [sale(5, 0, 200), sale(5, 60, 200, low=0.5, high=1.8), again(10, 1000, 20)],
         "A whole day of sales was submitted a second time in one batch.",
         "All amounts of one day return together {pace}, from the same cards.",
         "The takings of a day came in twice; the owner kept both."),
    plan("third_time_lucky", "duplicate_charges", (4, 9), (1, 2), (1, 3), (1, 4), "5311 5941",
         [sale(4, 0, 200), again(4, 300, 100), again(4, 600, 100), again(3, 600, 100, only="mh")],
         "The same sales were charged a second and a third time, each time after a pause.",
         "Customers of one shop pay a single article three times {where}.",
         "{who} who did not complain about the second charge received a third."),
    plan("only_the_large_ones", "duplicate_charges", (6, 13), (1, 1), (1, 3), (1, 5), "5311 5732 4112",
         [sale(4, 0, 200, low=0.4, high=0.8), sale(4, 60, 200, low=1.5, high=3), again(7, 500, 300)],
         "A dealer repeated charges now and then, as if by a fault of the line.",
         "Among many honest sales some are repeated {pace}; the dear ones bring the profit.",
         "The repeated charges look like retries, but the first try had gone through {where}."),
    plan("refund_when_asked", "duplicate_charges", (5, 12), (1, 2), (1, 4), (2, 6), "4131 4111 4112",
         [sale(6, 0, 300), again(7, 300, 300), hush(2, 300, 100), again(4, 200, 200, only="mh")],
         "Double fares were paid back to whoever asked, and kept from everybody else.",
         "A few refunds show that the shop knows; the doubles go on {where}.",
         "{who} got the double charge back after a telephone call; others never called."),
    plan("app_retry_loop", "duplicate_charges", (5, 12), (1, 3), (1, 4), (1, 6), "5814 4111 7523",
         [sale(6, 0, 200), again(6, 5, 60, at="~"), again(5, 60, 100)],
         "An app that claims its payment failed charges the order again and again.",
         "Orders appear two and three times within a short while, on web and app in turn.",
         "The retry button of an app was built to earn {where}."),
    plan("stored_after_counter", "duplicate_charges", (5, 11), (1, 1), (1, 3), (1, 4), "5912 5499 5941",
         [sale(6, 0, 300, at="pos"), again(8, 700, 500)],
         "Cards read at the counter were stored and charged once more without their holders.",
         "The first charge was made in the shop, the second from its back office {pace}.",
         "{who} paid once in person; the same sum was booked again when they were elsewhere."),
    plan("disputed_doubles", "duplicate_charges", (5, 12), (1, 2), (1, 3), (1, 5), "7832 5311 5814",
         [sale(7, 0, 400), again(8, 500, 300), dispute(3, 2800, 400)],
         "The doubles of a store's sales were disputed by the first victims as duplicates.",
         "Disputes for duplicate processing follow a row of repeated sums {where}.",
         "{who} had to go to their bank, since the shop would not answer about the second charge.",
         tempos=("steady",)),
)

SUBSCRIPTION = (
    plan("one_euro_parcel", "subscription_trap", (6, 14), (1, 2), (1, 3), (1, 5), "5968 5977",
         [trial(7, 1, 2, 0, 300), fee(10, 35, 60, 1500, 3000)],
         "A test parcel for next to nothing carried a subscription in its small print.",
         "{who} ordered a sample of cosmetics and are charged for a box they never wanted.",
         "After a trial {where} the same cards pay a rising number of identical fees."),
    plan("streaming_lookalike", "subscription_trap", (7, 15), (1, 3), (1, 4), (2, 7), "4899 5815",
         [trial(8, 0.3, 1, 0, 400), fee(8, 15, 30, 1200, 600), fee(8, 15, 30, 1800, 600, only="mh")],
         "A film site that has no films turned age checks into memberships.",
         "The card was needed to prove the viewer's age, and is charged a fee {pace}.",
         "Two rounds of membership fees follow the checks, at a site nobody can name {where}."),
    plan("no_trial_at_all", "subscription_trap", (6, 13), (1, 2), (1, 4), (1, 6), "5817 5734",
         [fee(11, 12, 40, 0, 2500)],
         "Holders were charged for software they say they never ordered, all with the same fee.",
         "A flat fee appears on cards of strangers {where}; the trial page had been visited long ago.",
         "{who} find a monthly software fee and cannot find the contract."),
    plan("price_steps", "subscription_trap", (4, 9), (1, 2), (1, 3), (1, 5), "8299",
         [trial(5, 1, 2.5, 0, 200), fee(5, 8, 15, 1200, 300), fee(5, 20, 40, 1500, 300), fee(4, 60, 110, 1500, 300)],
         "The fee after the trial tripled twice without any notice.",
         "An online course cost two units, then twenty, then nearly a hundred {pace}.",
         "{who} accepted the first fee; the next ones were several times as high {where}."),
    plan("cancel_and_continue", "subscription_trap", (5, 11), (1, 1), (1, 3), (1, 4), "5816 5818",
         [trial(6, 0.5, 1, 0, 300), fee(6, 10, 25, 1000, 500), hush(1, 300, 10), fee(6, 10, 25, 700, 500)],
         "Cancelled memberships of a game portal went on being charged; one victim was paid off.",
         "The button for cancelling exists and does nothing, as the fees {pace} show.",
         "Parents cancelled a game pass; the portal refunded one of them and charged the others again."),
    plan("renamed_every_time", "subscription_trap", (7, 16), (2, 4), (2, 7), (3, 10), "5968 5815 5817",
         [trial(6, 0.5, 2, 0, 300), fee(5, 25, 50, 900, 400), fee(5, 25, 50, 500, 400, at="~"),
          fee(4, 30, 60, 500, 300)],
         "The trial's cards were passed on to sister sites, each with a subscription of its own.",
         "Different names charge similar fees {where}; all of them trace back to one trial page.",
         "One free sample ended in memberships at several shops under one owner.", **SKILLED),
    plan("weekly_horoscope", "subscription_trap", (5, 12), (1, 1), (1, 2), (1, 3), "5815 4899",
         [trial(5, 0.1, 0.5, 0, 100), fee(14, 5, 12, 500, 6000)],
         "A horoscope by telephone took a small fee every few days from everyone who had read one.",
         "Fees too small to be worth a call add up over time {where}.",
         "{who} ignored a few units a week until the year's sum was added up.",
         segments=("family", "senior", "young_account", "professional", "student")),
    plan("dispute_wave", "subscription_trap", (6, 14), (1, 2), (1, 4), (2, 6), "5968 8299 5977",
         [trial(7, 1, 2, 0, 400), fee(9, 40, 90, 1300, 800), dispute(4, 3000, 800)],
         "High fees after a competition's postage were disputed as soon as statements arrived.",
         "A prize draw asked for postage; a large membership fee followed and then disputes {where}.",
         "{who} had won a telephone, so the mail said; they paid for a club instead."),
)

LAUNDERING = (
    plan("florist_casino", "transaction_laundering", (5, 12), (1, 1), (1, 3), (1, 5), "5992",
         [other(14, 2, 7, 0, 900)],
         "A flower shop without flowers takes stakes for an unlicensed casino.",
         "Bouquets for hundreds, at night and several times in a row {where}.",
         "{who} pay round sums to a florist again and again, and no flower is ever delivered."),
    plan("bookshop_pills", "transaction_laundering", (7, 15), (1, 2), (1, 3), (1, 5), "5942",
         [sale(3, 0, 200), other(10, 2, 4, 200, 900)],
         "A bookshop's account takes the payments of a pharmacy that has no licence.",
         "Next to a few real books the shop books sums no paperback costs {where}.",
         "{who} order medicine on one page and find a bookshop on the statement."),
    plan("toy_shop_stakes", "transaction_laundering", (4, 9), (1, 2), (2, 5), (2, 7), "5945 5816",
         [other(4, 0.6, 1.2, 0, 100), other(6, 1.5, 4, 60, 200), other(4, 5, 14, 60, 100)],
         "Toys seem to be bought in rising stakes, as players do who want to win their money back.",
         "The sums climb within hours on the same cards, at a toy shop {where}.",
         "A gambling evening hides behind a shop for games {pace}."),
    plan("three_shells_in_turn", "transaction_laundering", (7, 16), (2, 4), (3, 8), (4, 12), "5947 5719 5251 5942",
         [other(6, 1.5, 4, 0, 300), other(5, 1.5, 4, 200, 300, at="~"), other(5, 1.5, 4, 200, 300)],
         "Payments are spread over several shell shops so that none of them grows too fast.",
         "Small shops that share an owner take turns {where} with similar sums from the same cards.",
         "Whoever pays today at one of the shops pays tomorrow at the next, for the same hidden seller."),
    plan("pet_food_forex", "transaction_laundering", (4, 10), (1, 2), (1, 4), (2, 6), "5995",
         [sale(2, 0, 100), other(5, 3, 6, 300, 400), other(4, 8, 18, 600, 400)],
         "Deposits for a forbidden investment platform are booked as pet food.",
         "Small deposits are followed by very large ones {where}, all to an animal feed shop.",
         "{who} believe they trade in currencies; their bank sees a pet shop."),
    plan("courses_for_adults", "transaction_laundering", (6, 14), (1, 2), (1, 3), (1, 5), "8299",
         [sale(4, 0, 300, low=0.5, high=1), other(12, 0.7, 1.6, 200, 1500)],
         "An academy without lessons takes the small payments of an adult chat.",
         "Course fees of ordinary size but in extraordinary number {pace}.",
         "{who} buy lesson after lesson within an hour at a school that has no teachers."),
    plan("slow_drip_shell", "transaction_laundering", (7, 16), (1, 3), (1, 4), (2, 8), "5964 5641",
         [sale(5, 0, 900), other(5, 1, 2, 500, 1500), sale(3, 300, 500), other(5, 1.2, 2.5, 500, 1500)],
         "Hidden sales are mixed with as many honest ones, so that the shop's figures stay credible.",
         "A mail-order shop's real customers cover for those who buy something else {where}.",
         "Between children's clothes run payments that belong to another trade altogether.", **CAREFUL),
    plan("counterfeit_front", "transaction_laundering", (8, 18), (1, 2), (2, 5), (2, 7), "5719",
         [other(8, 1.5, 3, 0, 500), other(8, 1.5, 3.5, 300, 600, at="~", only="h"), other(4, 3, 6, 300, 300)],
         "Handbags that are not genuine are paid at a shop for kitchen linen.",
         "The dear brand goods {where} are booked under the name of a household shop.",
         "{who} buy brand goods through a chat and find a homeware shop on the statement."),
)

TRAVEL = (
    plan("villa_with_deposit", "fake_travel_agency", (5, 11), (1, 2), (1, 3), (1, 5), "4722 7011",
         [order(5, 0.5, 0.9, 0, 400), order(5, 1, 2.2, 1500, 600)],
         "A deposit and then the balance were paid for a villa that belongs to somebody else.",
         "Holiday homes were let {where} by people who had only copied the pictures.",
         "{who} stood before a house whose owner had never heard of their booking."),
    plan("cheap_flights_honest_start", "fake_travel_agency", (7, 15), (1, 1), (1, 3), (1, 5), "4511 4722",
         [sale(5, 0, 500, low=0.5, high=0.9), order(9, 1, 2.5, 600, 700)],
         "The first flights were really booked and advertised the agency; later tickets were never issued.",
         "Cheap tickets made a name for the agency {where} before it stopped buying them.",
         "{who} hold a confirmation that the airline does not know."),
    plan("pilgrim_group", "fake_travel_agency", (9, 20), (1, 2), (1, 2), (1, 4), "4722",
         [order(13, 1.5, 3, 0, 900)],
         "A whole group paid for one journey, and the organiser left alone.",
         "Members of one association pay similar sums to one agency {pace}.",
         "{who} of one parish paid for a pilgrimage that had been invented.",
         segments=("family", "senior", "professional", "student", "young_account")),
    plan("surcharge_for_fuel", "fake_travel_agency", (5, 12), (1, 2), (1, 4), (2, 6), "4722 4511",
         [order(6, 1, 2, 0, 500), over(5, 1.2, 2, 900, 400), over(3, 2, 4, 500, 200, only="mh")],
         "After the booking came surcharges for fuel and taxes on the stored cards.",
         "Booked journeys became dearer twice {where}, without anyone having agreed.",
         "{who} paid for a flight, for its fuel, for its taxes, and stayed on the ground."),
    plan("rebook_and_hush", "fake_travel_agency", (6, 13), (1, 2), (1, 4), (2, 7), "4722 7922",
         [order(5, 1, 2, 0, 400), hush(2, 400, 200, low=0.4, high=0.8), order(6, 1.3, 2.6, 200, 600)],
         "Impatient clients got part of their money back, the others new dates that also failed.",
         "Postponed, partly refunded, sold again: the agency lives off new bookings {where}.",
         "{who} were given another date each time they asked for their tickets."),
    plan("festival_tickets", "fake_travel_agency", (8, 18), (1, 3), (1, 4), (2, 6), "7922 7011",
         [order(6, 0.7, 1.3, 0, 300), order(5, 1.2, 2.5, 300, 300, at="~"), order(4, 2, 4, 200, 200, chance=0.7)],
         "Tickets, beds and buses for a festival were sold as packages that nobody had reserved.",
         "The packages for one weekend sell faster the closer it comes {where}.",
         "{who} arrived at the gate with a code that had never been valid."),
    plan("disputed_cruise", "fake_travel_agency", (5, 12), (1, 1), (1, 3), (1, 4), "4722",
         [sale(2, 0, 200, only="mh"), order(8, 2, 5, 200, 900), dispute(3, 3500, 900)],
         "Cabins on a cruise were sold far too cheaply, and the shipping line knew nothing of them.",
         "Large payments for one sailing date {pace}, and disputes when the ship had left.",
         "{who} disputed a cruise after the shipping line had refused them."),
    plan("hire_cars_of_nobody", "fake_travel_agency", (7, 16), (2, 4), (2, 6), (3, 9), "7512",
         [sale(3, 0, 200, low=0.5, high=0.9), order(4, 0.8, 1.6, 300, 300), over(3, 1.2, 1.8, 300, 200),
          order(5, 1, 2.4, 300, 400)],
         "Several portals sold hire cars at airports where they had no desk.",
         "Portals of one owner take bookings and then insurance from the same cards {where}.",
         "{who} found no counter at the airport, and a further charge for the cover.", **SKILLED),
)
# fmt: on

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "who": WHO,
    "where": {
        "domestic": ("inside the country", "within the country", "close to home"),
        "cross_border": ("across the border", "in a neighbouring country", "abroad"),
        "remote": ("far away", "on another continent", "behind an offshore address"),
    },
    "pace": {
        "burst": ("within hours", "in one rush", "over a day"),
        "steady": ("over some days", "day by day", "through the week"),
        "slow": ("over several weeks", "little by little", "with long pauses"),
    },
}

CHARGES = ("undelivered_order", "inflated_charge", "repeated_charge", "hidden_renewal")

BOOK = Book(
    scenario="merchant_fraud",
    archetypes=BUST_OUT + SKIMMING + SELF_REFUND + OVERCHARGING + DUPLICATES + SUBSCRIPTION + LAUNDERING + TRAVEL,
    limits=LIMITS,
    durations={"burst": (30, 2880), "steady": (2880, 12_960), "slow": (12_960, 36_000)},
    scale={"student": 0.85, "family": 1.0, "professional": 1.25, "senior": 1.1, "young_account": 0.9},
    scaled=("undelivered_order", "skimmed_purchase", "laundered_sale"),
    phrases=PHRASES,
    extras=(
        Extra(("undelivered_order",), order(2, 0.8, 1.8, 300, 100)),
        Extra(("undelivered_order",), order(1, 2, 5, 500, 5, at="~")),
        Extra(("undelivered_order",), hush(1, 400, 5)),
        Extra(("skimmed_purchase", "skimmed_cash"), buy(2, 1, 3, 300, 100, at="ecommerce")),
        Extra(("skimmed_purchase", "skimmed_cash"), buy(1, 3, 9, 200, 5, at="pos")),
        Extra(("captured_purchase",), swipe(2, 200, 100)),
        Extra(("sham_sale",), sham(1, 0.2, 1, 100, 5)),
        Extra(("self_refund",), back(2, 0.8, 1, 200, 100)),
        Extra(("sham_sale",), sham(2, 1, 4, 300, 60)),
        Extra(("self_refund",), sham(1, 0.4, 2, 400, 5)),
        Extra(("inflated_charge",), over(2, 1.3, 3, 300, 100)),
        Extra(("inflated_charge",), over(1, 3, 6, 700, 5)),
        Extra(("repeated_charge",), again(2, 300, 100)),
        Extra(("repeated_charge",), again(1, 1500, 5)),
        Extra(("hidden_renewal",), fee(2, 15, 45, 900, 200)),
        Extra(("hidden_renewal",), fee(1, 4, 12, 1500, 5)),
        Extra(("hidden_renewal", "repeated_charge", "inflated_charge"), hush(1, 900, 5, low=0.5, high=0.9)),
        Extra(("laundered_sale",), other(2, 1, 5, 200, 60)),
        Extra(CHARGES, dispute(1, 4000, 5)),
    ),
)
