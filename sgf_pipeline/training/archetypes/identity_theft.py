"""Archetypes of identity theft.

Belongs here: plans of how accounts in stolen or invented names are opened, nursed and emptied, after what credit
bureaus, supervisors and consumer-protection bodies publish about bust-outs, synthetic identities and straw men. Does
not belong here: which steps exist (``sgf_pipeline.scenarios.identity_theft``).
"""

from sgf_pipeline.scenarios.identity_theft import DRAIN, LIMITS
from sgf_pipeline.training.archetypes.base import WHO, Archetype, Book, Extra, Move, Range


def live(
    low: float, high: float, n: int, wait: int, span: int, at: str = "pos", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("build_purchase", at, "habit", low, high, n, wait, span, only, chance)


def subscribe(low: float, high: float, n: int, wait: int, span: int, at: str = "mobile", chance: float = 1) -> Move:
    return Move("build_subscription", at, "unit", low, high, n, wait, span, chance=chance)


def wages(n: int, wait: int, span: int, low: float = 0.7, high: float = 1.1, only: str = "lmh") -> Move:
    return Move("build_wages", "online_banking", "habit", low, high, n, wait, span, only)


def pay_in(low: float, high: float, n: int, wait: int, span: int, at: str = "cash", chance: float = 1) -> Move:
    return Move("build_deposit", at, "balance", low, high, n, wait, span, chance=chance)


def feed(low: float, high: float, n: int, wait: int, span: int, at: str = "net", only: str = "lmh") -> Move:
    return Move("build_transfer_in", at, "balance", low, high, n, wait, span, only)


def repay(low: float, high: float, n: int, wait: int, span: int, at: str = "net", only: str = "lmh") -> Move:
    return Move("repayment", at, "balance", low, high, n, wait, span, only)


def goods(
    low: float, high: float, n: int, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("goods_purchase", at, "balance", low, high, n, wait, span, only, chance)


def vouchers(
    low: float, high: float, n: int, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("voucher_purchase", at, "balance", low, high, n, wait, span, only, chance)


def notes(
    low: float, high: float, n: int, wait: int, span: int, at: str = "cash", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("cash_withdrawal", at, "balance", low, high, n, wait, span, only, chance)


def send(
    low: float, high: float, n: int, wait: int, span: int, at: str = "net", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("transfer_out", at, "balance", low, high, n, wait, span, only, chance)


def kite(low: float, high: float, n: int, wait: int, span: int, only: str = "lmh", chance: float = 1) -> Move:
    return Move("false_repayment", "net", "balance", low, high, n, wait, span, only, chance)


def plan(
    name: str, vector: str, accounts: Range, others: Range, devices: Range, addresses: Range, categories: str,
    steps: list[Move], *stories: str, **cells: tuple[str, ...],
) -> Archetype:  # fmt: skip
    return Archetype(
        name, vector, accounts, others, devices, addresses, tuple(categories.split()), tuple(steps), stories, **cells
    )


FAST = {"tempos": ("burst", "steady")}
CAREFUL = {"tempos": ("steady", "slow")}
SKILLED = {"sophistications": ("medium", "high")}

# fmt: off
STOLEN_CARD = (
    plan("lost_wallet_starter", "stolen_identity_card", (1, 1), (1, 3), (1, 2), (1, 2), "5732 5045",
         [live(0.3, 1.2, 8, 0, 9000), goods(0.15, 0.4, 5, 4000, 240)],
         "A lost wallet became a bank account, a week of small shopping and an evening of electronics.",
         "The new account bought bread and tickets, then screens and phones {pace}.",
         "The owner of the card learns from a bill that somebody shopped in her name {where}."),
    plan("two_shops_three_days", "stolen_identity_card", (1, 1), (2, 3), (1, 2), (1, 3), "5944 5661",
         [live(0.5, 1.5, 6, 0, 6000), subscribe(5, 15, 1, 500, 5), goods(0.1, 0.3, 3, 5000, 500),
          goods(0.15, 0.45, 3, 900, 400), vouchers(0.05, 0.15, 2, 200, 60, only="mh")],
         "Watches at one shop, shoes at another, until the line of the new account was gone.",
         "Quiet for days, the account then went shopping {where} on two afternoons.",
         "{who} would buy a watch once; this account of theirs bought several {pace}."),
    plan("landlord_copy", "stolen_identity_card", (1, 2), (1, 4), (1, 3), (2, 5), "5311 5399",
         [wages(1, 0, 5), live(0.4, 1.4, 9, 900, 11_000), repay(0.03, 0.1, 1, 700, 5), goods(0.08, 0.25, 7, 3000, 900),
          notes(0.05, 0.2, 2, 200, 200, at="atm")],
         "A copy of a card left with a landlord opened an account that lived well and left nothing.",
         "Wages came once, an instalment was paid, then a department store was emptied {where}.",
         "Somebody who only rented a flat is asked for the debts of {who}."),
    plan("limit_finder", "stolen_identity_card", (1, 1), (1, 2), (1, 2), (1, 3), "5045 5732",
         [live(0.3, 1, 5, 0, 5000), live(1.5, 3, 2, 1500, 700), goods(0.1, 0.15, 2, 2000, 60),
          goods(0.5, 1.1, 3, 60, 60), goods(0.2, 0.5, 3, 40, 90)],
         "The shopper raised the amounts until the card refused, and then took what was left.",
         "Refusals follow purchases as the line comes to its end {pace}.",
         "Growing baskets of computers {where}, two refusals, smaller baskets, nothing more.", **FAST),
    plan("family_shopping_cover", "stolen_identity_card", (1, 1), (2, 4), (1, 2), (2, 4), "5411 5977 5941",
         [live(0.5, 2, 12, 0, 15_000), subscribe(8, 25, 2, 1000, 2000), goods(0.05, 0.12, 9, 3000, 3500)],
         "Groceries, streaming and a perfumery: only the end of it does not look like a household.",
         "A dozen everyday payments hide the turn to goods that can be sold {where}.",
         "The bank took it for one of {who} until no instalment came.", **CAREFUL),
    plan("credit_then_cash", "stolen_identity_card", (1, 1), (1, 3), (1, 2), (1, 3), "5732",
         [live(0.3, 1.3, 6, 0, 8000), repay(0.02, 0.08, 2, 800, 3000), notes(0.1, 0.25, 3, 3000, 150, at="atm"),
          goods(0.2, 0.5, 2, 100, 90), notes(0.05, 0.15, 2, 500, 60, at="atm", chance=0.6)],
         "Machines first, an electronics shop afterwards: cash was wanted more than goods.",
         "Notes and two large purchases {where} end an account that had paid two bills on time.",
         "A stolen card turns into notes {pace}; its owner still looks for it at home."),
    plan("gift_wall", "stolen_identity_card", (1, 2), (1, 3), (1, 3), (2, 4), "5947 5311",
         [live(0.4, 1.1, 7, 0, 9000), vouchers(0.05, 0.12, 6, 4000, 300), vouchers(0.08, 0.2, 4, 300, 200),
          goods(0.1, 0.3, 2, 100, 60, chance=0.5)],
         "Rack after rack of gift cards left with a customer of a few weeks.",
         "Gift cards of round sums {where}, one till after the other.",
         "An honest start, then nothing but vouchers {pace}."),
    plan("crew_of_copies", "stolen_identity_card", (3, 5), (2, 5), (2, 6), (3, 9), "5732 5661 5944",
         [live(0.4, 1.5, 12, 0, 12_000), repay(0.02, 0.08, 3, 1000, 4000), goods(0.1, 0.35, 14, 3000, 700),
          goods(0.1, 0.3, 10, 400, 500), send(0.2, 0.5, 3, 300, 200, only="mh")],
         "A stack of photographed cards gave a crew several accounts, emptied on one weekend.",
         "Accounts opened in the same fortnight visit the same shops {where}.",
         "Several {who} who do not know each other seem to shop with one telephone.", **SKILLED),
    plan("moving_house", "stolen_identity_card", (1, 1), (1, 3), (1, 2), (1, 3), "5712 5722 5732",
         [pay_in(0.05, 0.15, 1, 0, 5), live(0.4, 1.4, 6, 600, 7000), goods(0.3, 0.7, 2, 5000, 500),
          goods(0.1, 0.25, 3, 1000, 600)],
         "It looks like somebody moving house, but nothing was delivered to the address of the card.",
         "Furniture and appliances {pace} from an account that was weeks old.",
         "A deposit, small shopping and then a whole kitchen {where}."),
)

SYNTHETIC = (
    plan("patient_bureau_file", "synthetic_identity", (1, 1), (1, 3), (1, 3), (2, 6), "5732 5045",
         [subscribe(5, 12, 2, 0, 2500), live(0.3, 1, 8, 600, 12_000, at="@"), repay(0.02, 0.08, 3, 800, 8000),
          goods(0.15, 0.4, 5, 3000, 500), vouchers(0.05, 0.15, 2, 120, 60)],
         "A person without a past paid every bill on time until the line was worth taking.",
         "No school, no address history, but a faultless start; then electronics {pace}.",
         "Nobody ever complained, because nobody of that name exists {where}."),
    plan("ring_of_five", "synthetic_identity", (3, 6), (2, 6), (2, 7), (3, 12), "5399 5732 5045",
         [wages(4, 0, 2000), live(0.3, 1.2, 12, 700, 10_000, at="@"), repay(0.02, 0.07, 4, 600, 5000),
          goods(0.1, 0.4, 16, 3000, 900), send(0.2, 0.6, 5, 200, 400)],
         "Five invented people shared a flat, a telephone and one day on which all of them went broke.",
         "The same employer paid them, the same shops served them, the same account got the rest {where}.",
         "Accounts of {who} fell silent together {pace}."),
    plan("piggyback_credit", "synthetic_identity", (1, 2), (1, 3), (1, 3), (2, 6), "5311 5944",
         [feed(0.1, 0.3, 2, 0, 2500), live(0.4, 1.5, 7, 500, 8000, at="@"), repay(0.05, 0.15, 2, 500, 4000),
          goods(0.2, 0.6, 3, 4000, 300), kite(0.5, 0.9, 1, 400, 5), goods(0.2, 0.6, 3, 200, 250)],
         "The line was used, paid off with money that never existed, and used again.",
         "A friend's account fed the new one; a recalled payment doubled the loss {where}.",
         "Twice the line is missing from an account that should hold it once {pace}."),
    plan("digital_native", "synthetic_identity", (1, 1), (1, 4), (1, 3), (2, 8), "5816 5818 5399",
         [subscribe(4, 15, 3, 0, 5000), live(0.2, 0.8, 6, 700, 7000, at="mobile"), vouchers(0.04, 0.1, 8, 3000, 200),
          vouchers(0.1, 0.2, 3, 90, 60), goods(0.1, 0.3, 2, 200, 60)],
         "An invented customer with an honest love of apps turned the whole line into codes.",
         "Game credits and gift codes {pace}, bought by nobody in particular.",
         "Streaming and games made the file look young and real {where}.", **FAST),
    plan("sleeper_two_waves", "synthetic_identity", (1, 1), (2, 4), (1, 4), (3, 9), "5045 5732 5977",
         [live(0.4, 1.3, 7, 0, 9000, at="@"), repay(0.02, 0.1, 2, 500, 4000), goods(0.1, 0.2, 4, 2500, 600),
          goods(0.2, 0.5, 4, 2500, 500), send(0.1, 0.4, 1, 300, 5, only="h")],
         "A first wave tested whether anybody was watching; the second took the rest.",
         "Purchases rise, pause and rise again {where}.",
         "What looked like one expensive week of {who} was the rehearsal.", **CAREFUL),
    plan("merchant_in_on_it", "synthetic_identity", (2, 4), (1, 1), (1, 4), (2, 7), "5944 5399",
         [live(0.5, 1.5, 8, 0, 8000, at="@"), goods(0.25, 0.6, 4, 4000, 400), goods(0.25, 0.6, 4, 300, 300)],
         "All the large purchases went to one shop, which belongs to the same people.",
         "Invented customers empty their lines at a single jeweller {pace}.",
         "One shop took the lines of several new accounts {where} and closed."),
    plan("thin_file_mail_drop", "synthetic_identity", (1, 2), (1, 3), (1, 4), (2, 7), "5964 5399 5732",
         [live(0.3, 1, 5, 0, 5000, at="ecommerce"), subscribe(10, 30, 1, 800, 5), repay(0.03, 0.1, 2, 700, 5000),
          goods(0.08, 0.2, 8, 3500, 1200)],
         "Parcels for a person who never existed pile up at a rented letter box.",
         "Mail-order goods in eight parcels {where}, and no instalment after them.",
         "The delivery address is shared with other new customers {pace}."),
    plan("wages_of_a_shell", "synthetic_identity", (1, 3), (1, 3), (1, 4), (2, 8), "5732 5661",
         [wages(2, 0, 9000, 0.8, 1.2), live(0.4, 1.5, 7, 300, 8000, at="@"), goods(0.15, 0.45, 4, 2500, 300),
          send(0.3, 0.8, 2, 120, 100), notes(0.05, 0.15, 2, 200, 100, at="atm", only="h")],
         "A company of one desk paid wages to people it had invented.",
         "Two pay days raised the limit, and everything left {where} afterwards.",
         "The employer's account and the buyers' telephones belong together {pace}."),
)

FORGED = (
    plan("payslip_overdraft", "forged_documents", (1, 1), (1, 3), (1, 2), (1, 3), "5732 5311",
         [wages(1, 0, 5, 0.9, 1.3), live(0.4, 1.5, 7, 900, 9000), notes(0.15, 0.35, 4, 3500, 700, at="@"),
          goods(0.2, 0.4, 2, 200, 100, at="pos", chance=0.6)],
         "Forged pay slips earned an overdraft, which was fetched in notes.",
         "A single pay day, then machine after machine {where}.",
         "The employer on the slip has never heard of the customer."),
    plan("counter_empties", "forged_documents", (1, 1), (1, 2), (1, 2), (1, 2), "5732",
         [pay_in(0.05, 0.2, 2, 0, 3000), live(0.3, 1.2, 5, 500, 6000), notes(0.3, 0.7, 2, 4000, 900, at="@"),
          notes(0.1, 0.3, 2, 500, 300, at="atm")],
         "A polite customer with a good forged passport asked for the overdraft in cash.",
         "Two visits took nearly all there was {pace}.",
         "Deposits had shown a saver; the passport was as false as the savings."),
    plan("passport_tour", "forged_documents", (2, 5), (1, 4), (1, 4), (2, 8), "5944 5732",
         [live(0.4, 1.3, 9, 0, 8000), pay_in(0.04, 0.12, 3, 500, 3000), notes(0.1, 0.3, 10, 3000, 900, at="@"),
          send(0.1, 0.3, 3, 300, 300, only="mh")],
         "One face on several passports opened accounts in several branches.",
         "The accounts were emptied one after the other along a railway line {where}.",
         "The photograph of five {who} is the same man's.", **SKILLED),
    plan("car_loan_stranger", "forged_documents", (1, 1), (1, 2), (1, 2), (1, 3), "5511 5045",
         [feed(0.2, 0.6, 1, 0, 5), live(0.5, 1.8, 6, 600, 8000), repay(0.03, 0.1, 2, 500, 4000),
          send(0.4, 0.9, 1, 3000, 5), notes(0.1, 0.3, 3, 200, 300, at="@")],
         "The first instalment was paid to get the second half of the money.",
         "A large transfer and cash {where} end an account of good manners.",
         "The letters to the address on the lease come back {pace}."),
    plan("weekend_machine_run", "forged_documents", (1, 2), (1, 2), (1, 3), (1, 4), "5732",
         [live(0.3, 1, 6, 0, 7000), notes(0.08, 0.2, 7, 4000, 1500, at="@"),
          vouchers(0.05, 0.15, 2, 200, 60, at="pos")],
         "From Friday to Sunday the card visited machine after machine.",
         "Notes were drawn each time up to what the machine would give {where}.",
         "A quiet customer with forged papers turns his line into cash {pace}."),
    plan("tax_refund_story", "forged_documents", (1, 1), (1, 3), (1, 2), (2, 4), "5732",
         [feed(0.1, 0.3, 2, 0, 2500), subscribe(5, 20, 1, 600, 5), live(0.4, 1.4, 6, 300, 7000),
          notes(0.15, 0.4, 3, 3000, 400, at="@"), send(0.2, 0.5, 2, 200, 200), notes(0.05, 0.1, 2, 300, 100, at="@")],
         "Money came in with the story of a refund and left with all that the bank had added.",
         "Cash, transfers, cash again {where}: the order in which the account was drained.",
         "The tenancy and the wages of {who} were printed at home."),
    plan("slow_leak", "forged_documents", (1, 1), (1, 2), (1, 2), (1, 3), "5411 5311",
         [wages(1, 0, 5), live(0.5, 1.6, 8, 700, 9000), repay(0.02, 0.08, 2, 400, 3000),
          notes(0.05, 0.12, 4, 2000, 2500, at="@"), notes(0.08, 0.2, 4, 1500, 2500, at="@")],
         "No single withdrawal was large; together they were the line.",
         "A little more cash every few days {where}, and never a deposit again.",
         "The forged lease came to light when the overdraft stayed {pace}.", **CAREFUL),
    plan("recalled_cheque", "forged_documents", (1, 1), (1, 3), (1, 2), (1, 4), "5732 5944",
         [live(0.4, 1.3, 6, 0, 7000), pay_in(0.05, 0.15, 1, 400, 5), notes(0.2, 0.5, 2, 3500, 200, at="@"),
          kite(0.5, 1, 1, 500, 5), notes(0.2, 0.5, 3, 300, 250, at="@"),
          goods(0.1, 0.3, 2, 200, 60, at="pos", chance=0.5)],
         "The overdraft was settled by a payment that was recalled after the next withdrawal.",
         "Cash, a payment, cash: the payment alone was not real {where}.",
         "Twice the limit in notes {pace}, against papers that no office had issued."),
)

DECEASED = (
    plan("ghost_pension", "deceased_identity", (1, 1), (1, 3), (1, 2), (1, 3), "5912 5311",
         [wages(1, 0, 5, 0.5, 0.9), live(0.3, 1, 6, 900, 8000), send(0.3, 0.6, 3, 4000, 400, at="@")],
         "Somebody who died last spring opened an account and sent its line away.",
         "A pension, a pharmacy, a bakery; then three transfers {where}.",
         "The heirs find letters from a bank that {who} of the family never had."),
    plan("obituary_reader", "deceased_identity", (2, 4), (2, 4), (1, 4), (2, 7), "5732 5399",
         [live(0.4, 1.4, 10, 0, 9000), repay(0.02, 0.08, 3, 500, 4000), send(0.2, 0.5, 6, 3500, 700, at="@"),
          goods(0.1, 0.3, 5, 300, 400, at="ecommerce"), vouchers(0.04, 0.1, 4, 200, 200, at="ecommerce", only="mh")],
         "Names from death notices became customers, and all of them paid the same stranger.",
         "Accounts of the dead were emptied {pace} from one telephone.",
         "Receivers and shops are the same for several {who} who are no longer alive."),
    plan("quiet_widow", "deceased_identity", (1, 1), (1, 2), (1, 2), (1, 3), "5732",
         [wages(1, 0, 5, 0.6, 0.9), live(0.3, 1, 8, 600, 11_000), subscribe(8, 20, 1, 500, 5),
          repay(0.02, 0.06, 2, 400, 5000), send(0.1, 0.25, 6, 2500, 3500, at="@")],
         "Regular sums went to one receiver, as if a grandchild were supported.",
         "The transfers grow {pace}, and nothing else on the account changes.",
         "The registry lists the customer's death two years before the account was opened.", **CAREFUL),
    plan("carer_with_papers", "deceased_identity", (1, 1), (1, 2), (1, 1), (1, 2), "5411 5311",
         [live(0.4, 1.3, 7, 0, 8000), pay_in(0.04, 0.1, 1, 500, 5), notes(0.1, 0.3, 3, 3000, 600, at="atm"),
          send(0.3, 0.8, 2, 200, 200, at="@")],
         "Whoever kept the papers of the dead had the card and the codes as well.",
         "Cash nearby and two transfers {where} took what the bank had granted.",
         "The same person had cared for {who} before they died."),
    plan("one_sum_gone", "deceased_identity", (1, 1), (1, 2), (1, 2), (1, 4), "5732",
         [feed(0.1, 0.4, 2, 0, 2500), live(0.4, 1.2, 5, 600, 6000), send(0.75, 1.1, 2, 5000, 60, at="@"),
          send(0.1, 0.3, 2, 100, 60)],
         "Almost the whole line left in one transfer; the rest was tried until it was refused.",
         "One large sum {where}, then smaller ones that bounced.",
         "A grave has the same birthday as the customer {pace}.", **FAST),
    plan("estate_borrower", "deceased_identity", (1, 2), (2, 5), (1, 3), (2, 6), "5944 5732",
         [wages(1, 0, 5, 0.7, 1.1), repay(0.03, 0.12, 3, 800, 8000), live(0.4, 1.5, 5, 300, 4000),
          send(0.3, 0.6, 2, 2500, 200, at="@"), kite(0.4, 0.9, 1, 800, 5), send(0.3, 0.6, 2, 300, 200, at="@"),
          goods(0.1, 0.3, 2, 300, 100, at="ecommerce", only="lm")],
         "Instalments, a drained line, a payment that came back unpaid, a line drained again.",
         "A borrower pays well, and after his death even better {where}.",
         "Money went in and out of a dead man's account {pace}."),
    plan("broker_for_hire", "deceased_identity", (1, 3), (2, 6), (1, 4), (2, 8), "5732 5045",
         [live(0.3, 1.2, 7, 0, 7000, at="ecommerce"), subscribe(5, 15, 2, 400, 2000),
          send(0.15, 0.4, 4, 3500, 300, at="@"), vouchers(0.05, 0.12, 5, 150, 150, at="mobile"),
          notes(0.05, 0.15, 2, 400, 100, at="atm", only="h")],
         "A seller of complete identities delivers the dead first: they do not call the bank.",
         "Transfers and codes {where} on the same night.",
         "The accounts of {who} had been bought ready-made.", **SKILLED),
    plan("twin_receivers", "deceased_identity", (1, 1), (2, 2), (1, 2), (1, 3), "5732",
         [live(0.5, 1.5, 6, 0, 7000), feed(0.05, 0.2, 1, 400, 5), send(0.1, 0.3, 3, 3500, 300, at="@"),
          send(0.1, 0.3, 3, 700, 300), send(0.2, 0.4, 1, 600, 5, chance=0.6)],
         "Two receivers took turns, and neither had ever met the customer alive.",
         "Three transfers to one, three to the other {pace}.",
         "Sums like bills leave {where}; the meter behind them was closed years ago."),
)

CHILD = (
    plan("school_register", "child_identity", (1, 2), (1, 3), (1, 2), (2, 4), "5816 5732",
         [live(0.3, 1, 7, 0, 8000, at="@"), subscribe(4, 12, 2, 400, 3000), goods(0.15, 0.4, 4, 4000, 300),
          vouchers(0.05, 0.15, 3, 100, 90)],
         "A clean record of somebody who is nine years old bought three telephones.",
         "Games, streaming, then devices {pace}: the number belongs to a pupil.",
         "The parents' first letter from the bank is a reminder {where}."),
    plan("relative_in_need", "child_identity", (1, 1), (1, 2), (1, 1), (1, 2), "5311 5651 5641",
         [live(0.5, 1.6, 9, 0, 10_000), repay(0.02, 0.08, 2, 600, 4000), goods(0.08, 0.25, 6, 2500, 1500),
          notes(0.05, 0.15, 2, 300, 100, at="atm", chance=0.6)],
         "A relative used the child's number to shop for the home, and then for himself.",
         "What begins as family shopping ends as a debt of a minor {where}.",
         "The spending looks like that of {who}; the name is in a school class.", **CAREFUL),
    plan("clinic_leak", "child_identity", (2, 5), (2, 4), (2, 6), (3, 10), "5399 5732 5045",
         [live(0.3, 1.2, 10, 0, 8000, at="@"), repay(0.02, 0.06, 4, 500, 4000), goods(0.1, 0.3, 13, 3500, 700),
          vouchers(0.05, 0.12, 6, 200, 300)],
         "Records of a children's clinic were sold; the patients became borrowers.",
         "Born on the wrong side of eighteen, several new customers shop {pace} with the same devices.",
         "Accounts opened in one week buy the same goods {where}.", **SKILLED),
    plan("allowance_mask", "child_identity", (1, 1), (1, 3), (1, 2), (1, 4), "5818 5816 5945",
         [feed(0.03, 0.1, 3, 0, 7000), live(0.2, 0.8, 6, 300, 6000, at="@"), vouchers(0.06, 0.15, 6, 2500, 200),
          vouchers(0.1, 0.25, 3, 200, 120)],
         "Pocket money came every week; then the account bought codes until it broke.",
         "Small credits and small games, and a last evening of gift codes {where}.",
         "It was meant to look like a first account, and it was nobody's {pace}."),
    plan("student_cover", "child_identity", (1, 1), (1, 3), (1, 2), (1, 4), "5045 5732 5942",
         [wages(1, 0, 5, 0.4, 0.8), live(0.3, 1.1, 8, 600, 9000, at="@"), repay(0.02, 0.07, 1, 300, 5),
          goods(0.3, 0.8, 3, 3000, 120), send(0.1, 0.4, 2, 200, 100)],
         "A side job, books, a laptop, then three more laptops.",
         "The customer says to be nineteen; the number was given out eight years ago {where}.",
         "Computers were bought and the rest transferred {pace}."),
    plan("line_flipped_twice", "child_identity", (1, 1), (1, 3), (1, 3), (2, 6), "5732 5399",
         [live(0.4, 1.3, 6, 0, 7000, at="@"), subscribe(5, 15, 1, 400, 5), repay(0.03, 0.1, 2, 500, 3000),
          goods(0.2, 0.5, 3, 2500, 200), kite(0.6, 1, 1, 600, 5), goods(0.2, 0.5, 4, 300, 300)],
         "The debt was paid at once, and the payment fell back after the next shopping.",
         "A recalled transfer made room for the same purchases again {where}.",
         "An unblemished record helped a stranger to spend the line twice {pace}.", **SKILLED),
    plan("fashion_haul", "child_identity", (1, 1), (2, 4), (1, 2), (1, 4), "5651 5621 5661",
         [live(0.4, 1.5, 7, 0, 8000, at="@"), goods(0.06, 0.15, 9, 3500, 900),
          goods(0.1, 0.25, 3, 300, 200, only="mh")],
         "Twelve parcels of fashion, none of them in a child's size.",
         "Branded shoes and jackets {where}, returned nowhere and paid by nobody.",
         "Orders follow each other {pace} until the line is used up."),
    plan("foster_file", "child_identity", (1, 3), (1, 3), (1, 3), (2, 5), "5732 5311",
         [pay_in(0.03, 0.1, 2, 0, 3000), live(0.3, 1.2, 6, 500, 6000), goods(0.15, 0.4, 3, 3500, 300),
          notes(0.08, 0.2, 3, 200, 200, at="atm"), send(0.2, 0.5, 1, 200, 5, only="mh")],
         "A file from an office for young people had passed through too many hands.",
         "Goods, notes and a transfer in the name of a child {where}.",
         "Whoever had the file had three such customers {pace}."),
)

FRONT = (
    plan("hired_for_a_day", "recruited_front", (1, 1), (1, 3), (1, 2), (1, 2), "5732 5311",
         [live(0.3, 1.2, 5, 0, 6000), pay_in(0.03, 0.1, 1, 300, 5), notes(0.1, 0.3, 5, 3000, 300, at="@")],
         "For a small fee somebody opened an account and handed card and code to a stranger.",
         "The face at the counter is his, the hand at the machine {where} is not.",
         "The customer remembers the fee, and nothing of the withdrawals {pace}."),
    plan("dormitory_recruiter", "recruited_front", (3, 6), (2, 4), (1, 4), (2, 7), "5732 5661",
         [live(0.3, 1.2, 12, 0, 7000), feed(0.05, 0.15, 4, 300, 3000), notes(0.1, 0.3, 12, 3000, 700, at="@"),
          goods(0.1, 0.3, 8, 200, 400, at="pos"), send(0.2, 0.4, 3, 300, 200, only="mh")],
         "A recruiter in a hostel collected cards; all of them were drained in the same street.",
         "Several {who} opened accounts in one week and lost their cards in another.",
         "The machines {where} saw one hood and many cards."),
    plan("debtor_turns_front", "recruited_front", (1, 1), (1, 2), (1, 1), (1, 2), "5944 5732",
         [wages(1, 0, 5, 0.6, 1), live(0.4, 1.5, 7, 500, 8000), repay(0.03, 0.1, 1, 400, 5),
          notes(0.2, 0.5, 3, 3000, 500, at="@"), goods(0.3, 0.7, 1, 200, 5, at="pos")],
         "Whoever owed money to the wrong people lent them his good name.",
         "The overdraft left in three visits and a jeweller's bill {pace}.",
         "The customer says that he was driven to the branch {where}."),
    plan("shell_director", "recruited_front", (1, 2), (2, 5), (1, 3), (2, 5), "5732",
         [feed(0.2, 0.6, 2, 0, 4000), live(0.5, 1.8, 5, 400, 6000), repay(0.04, 0.12, 2, 300, 3000),
          send(0.3, 0.7, 2, 2500, 200), notes(0.1, 0.3, 3, 200, 300, at="@"), send(0.1, 0.3, 1, 400, 5, chance=0.6)],
         "A director who could not say what his company did signed for the line.",
         "Transfers first, notes after them {where}; the post box was cleared the same week.",
         "The straw man keeps a coat, the others the money {pace}."),
    plan("handed_over_card", "recruited_front", (1, 1), (1, 2), (1, 2), (1, 3), "5411 5732",
         [live(0.4, 1.4, 9, 0, 11_000), notes(0.06, 0.15, 6, 2500, 3000, at="@"),
          vouchers(0.04, 0.1, 3, 400, 300, at="pos")],
         "The account had lived with its owner; one morning the card began to live elsewhere.",
         "Withdrawals at hours when {who} are asleep {where}.",
         "A little cash each day, gift cards at the end {pace}.", **CAREFUL),
    plan("recalled_wages", "recruited_front", (1, 1), (1, 3), (1, 2), (1, 3), "5732",
         [wages(1, 0, 5, 0.8, 1.2), live(0.4, 1.3, 5, 400, 6000), notes(0.25, 0.6, 2, 3000, 150, at="@"),
          kite(0.5, 0.9, 1, 400, 5), notes(0.25, 0.6, 3, 200, 200, at="@")],
         "An advance on wages refilled the account between two withdrawals and was recalled.",
         "The second emptying follows the first by hours {where}.",
         "The straw man was paid once, the machines twice {pace}.", **FAST),
    plan("counter_escort", "recruited_front", (1, 1), (1, 2), (1, 1), (1, 2), "5732",
         [pay_in(0.1, 0.3, 2, 0, 5000), live(0.3, 1.1, 5, 300, 5000), subscribe(6, 18, 1, 200, 5),
          notes(0.4, 0.9, 1, 3500, 5, at="@"), notes(0.05, 0.2, 3, 200, 300, at="atm"),
          send(0.05, 0.2, 1, 100, 5, chance=0.5)],
         "Somebody waited by the door while the customer asked for all of it.",
         "One large withdrawal, then the crumbs from machines {where}.",
         "The teller noted that {who} seldom come with a companion like that."),
    plan("phone_shop_front", "recruited_front", (1, 2), (2, 4), (1, 3), (1, 4), "5732 4812",
         [live(0.3, 1.2, 6, 0, 7000), repay(0.02, 0.08, 2, 300, 3000), goods(0.2, 0.5, 4, 3000, 300, at="pos"),
          notes(0.05, 0.2, 3, 100, 200, at="@"), vouchers(0.05, 0.1, 2, 60, 60, at="pos", only="lm")],
         "Telephones on credit for a man who was given one of them as his share.",
         "Shop to shop for handsets, machine to machine for notes {pace}.",
         "The boxes were sold {where} before the first bill was printed."),
)

BREACH = (
    plan("midnight_application", "data_breach_application", (1, 1), (1, 3), (1, 2), (1, 4), "5732",
         [live(0.3, 1.1, 6, 0, 7000, at="ecommerce"), send(0.3, 0.7, 3, 4500, 200, at="@")],
         "Leaked data filled in a form at night; weeks later the line left in three transfers.",
         "Small orders, then nothing but transfers {where}.",
         "Somebody whose data leaked from a shop is a debtor without knowing it {pace}."),
    plan("batch_applications", "data_breach_application", (3, 6), (2, 6), (2, 7), (3, 12), "5399 5732",
         [live(0.3, 1.2, 10, 0, 7000, at="ecommerce"), feed(0.03, 0.1, 5, 300, 3000),
          send(0.15, 0.5, 12, 3500, 600, at="@"), goods(0.1, 0.3, 8, 200, 400, at="ecommerce")],
         "A script applied with rows of a leaked table; the accounts that passed were drained as one.",
         "The applications came from one address, the transfers {where} went to a few receivers.",
         "Unrelated {who} share two telephones and one night.", **SKILLED),
    plan("slow_respectable", "data_breach_application", (1, 1), (1, 3), (1, 2), (2, 5), "5311 5045",
         [wages(1, 0, 5), live(0.5, 1.6, 9, 600, 10_000), subscribe(8, 20, 2, 300, 3000),
          repay(0.03, 0.1, 2, 300, 4000), send(0.06, 0.15, 5, 2000, 2500, at="@"),
          goods(0.06, 0.15, 4, 500, 1500, at="ecommerce")],
         "Every sum was one that a salaried person might spend, until none was left.",
         "Transfers and orders alternate {pace} without one that stands out.",
         "The real owner of the data earns at another bank {where}.", **CAREFUL),
    plan("crypto_exit", "data_breach_application", (1, 2), (1, 2), (1, 3), (2, 7), "6051 5732",
         [feed(0.05, 0.15, 2, 0, 3000), live(0.3, 1, 4, 300, 4000, at="mobile"), send(0.02, 0.05, 1, 2500, 5, at="@"),
          send(0.4, 0.9, 2, 300, 60, at="@"), send(0.1, 0.3, 2, 60, 60)],
         "A tiny transfer to an exchange opened the way for all the rest.",
         "The line became coins {pace}; the exchange is {where}.",
         "After one small trial the sums jump and some of them bounce."),
    plan("refund_loop", "data_breach_application", (1, 1), (2, 4), (1, 3), (2, 6), "5732 5399",
         [live(0.4, 1.2, 6, 0, 6000, at="ecommerce"), repay(0.03, 0.1, 2, 300, 3000),
          send(0.3, 0.6, 2, 3000, 150, at="@"), kite(0.4, 0.9, 2, 500, 300), send(0.3, 0.6, 2, 200, 150, at="@"),
          goods(0.1, 0.3, 3, 200, 150, at="ecommerce", chance=0.6)],
         "Payments from a stranger's card refilled the account between two rounds of transfers.",
         "What came back had been recalled before the last transfer {where} was booked.",
         "Out, in, out again {pace}: only the way out was real."),
    plan("mule_ready", "data_breach_application", (1, 2), (2, 5), (1, 3), (2, 6), "5732",
         [pay_in(0.03, 0.08, 1, 0, 5), live(0.3, 1.2, 6, 500, 7000), send(0.2, 0.4, 3, 3500, 200, at="@"),
          notes(0.05, 0.15, 3, 100, 200, at="atm"), vouchers(0.04, 0.1, 3, 100, 100, at="mobile", only="lm")],
         "Receivers, machines and codes had been prepared before the turn came.",
         "Everything is over {pace}; the credit bureau writes to somebody else.",
         "The line went three ways {where}."),
    plan("tenant_screening_leak", "data_breach_application", (1, 1), (1, 2), (1, 2), (1, 4), "5712 5732",
         [wages(1, 0, 5, 0.6, 1), live(0.4, 1.5, 6, 500, 7000), repay(0.02, 0.08, 3, 200, 5000),
          goods(0.2, 0.5, 2, 2500, 200, at="ecommerce"), send(0.3, 0.8, 2, 150, 120, at="@")],
         "Pay slips sent with an application for a flat came back as a bank customer.",
         "Furniture ordered, money transferred {where}, telephone off.",
         "The data of {who} had lain open on a letting agent's server {pace}."),
    plan("limit_pushed", "data_breach_application", (1, 1), (1, 3), (1, 2), (1, 4), "5732 5045",
         [feed(0.1, 0.3, 3, 0, 6000), repay(0.05, 0.15, 3, 200, 6000), live(0.4, 1.3, 4, 100, 3000, at="mobile"),
          send(0.5, 1.1, 1, 2500, 5, at="@"), send(0.2, 0.6, 3, 40, 60, at="@"), send(0.1, 0.2, 2, 60, 60, chance=0.6)],
         "Money went round in a circle to raise the limit, and then out in a straight line.",
         "Credits and instalments of one size, one great transfer, some refusals {pace}.",
         "The bank had just congratulated the customer on a higher limit {where}.", **FAST),
    plan("store_card_combo", "data_breach_application", (1, 1), (2, 4), (1, 3), (2, 5), "5311 5399 5732",
         [live(0.3, 1.2, 5, 0, 5000, at="ecommerce"), subscribe(5, 15, 1, 300, 5), repay(0.02, 0.08, 1, 300, 5),
          vouchers(0.05, 0.12, 4, 3000, 200, at="ecommerce"), goods(0.1, 0.3, 3, 100, 150, at="ecommerce"),
          send(0.2, 0.5, 1, 200, 5, at="@")],
         "Codes, then goods, then the remainder by transfer: nothing was left to chance.",
         "Within one sitting the account is used in three ways {where}.",
         "The victim hears of it from a debt collector {pace}."),
)

MAIL = (
    plan("letter_box_key", "mail_interception", (1, 1), (1, 3), (1, 2), (1, 2), "5732 5411",
         [live(0.4, 1.3, 7, 0, 8000), goods(0.2, 0.5, 4, 4000, 200), notes(0.1, 0.2, 2, 60, 60, at="atm")],
         "Card and PIN left the letter box before the neighbour came home.",
         "Small shopping nearby, then electronics and notes {pace}.",
         "The neighbour never asked for the card that was used {where}."),
    plan("postal_insider", "mail_interception", (3, 6), (2, 5), (1, 4), (2, 7), "5311 5944 5732",
         [live(0.4, 1.4, 12, 0, 8000), repay(0.02, 0.08, 3, 300, 4000), goods(0.1, 0.35, 15, 3000, 800),
          vouchers(0.04, 0.12, 6, 200, 300), notes(0.05, 0.15, 4, 100, 300, at="atm", only="mh")],
         "On one postman's round several people had become customers without knowing it.",
         "Cards from one delivery round were used in the same shops {where}.",
         "Letters to {who} in one street were opened by somebody else.", **SKILLED),
    plan("empty_flat", "mail_interception", (1, 1), (1, 3), (1, 2), (1, 3), "5712 5732 5399",
         [live(0.4, 1.4, 6, 0, 7000), subscribe(8, 20, 1, 300, 5), repay(0.03, 0.1, 1, 300, 5),
          goods(0.1, 0.3, 6, 3500, 700)],
         "A name was stuck on the letter box of an empty flat; the bank's letters arrived.",
         "Parcels and purchases {where} for a tenant whom nobody in the house has seen.",
         "The name was gone from the box before the bill came {pace}."),
    plan("card_test_then_mall", "mail_interception", (1, 1), (1, 4), (1, 1), (1, 2), "5661 5651 5977",
         [live(0.1, 0.5, 3, 0, 3000), live(0.5, 1.5, 4, 700, 4000), goods(0.08, 0.2, 5, 3000, 200),
          goods(0.15, 0.35, 3, 30, 100)],
         "A coffee proved the card, a mall emptied it.",
         "Shoes, perfume and clothes in one round of shops {where}.",
         "{who} would have noticed the letter; it had been taken {pace}.", **FAST),
    plan("forwarding_order", "mail_interception", (1, 2), (1, 3), (1, 3), (2, 5), "5964 5399 5045",
         [live(0.3, 1.1, 6, 0, 7000, at="@"), repay(0.02, 0.1, 2, 300, 4000), goods(0.1, 0.25, 7, 3000, 1500),
          send(0.2, 0.5, 2, 300, 200, only="h")],
         "A false order of forwarding sent the post, the card and the PIN to another town.",
         "The orders go where the post goes {where}.",
         "The victim wondered why no letters came; the answer was a debt {pace}.", **CAREFUL),
    plan("shared_hallway", "mail_interception", (1, 1), (1, 2), (1, 1), (1, 2), "5411 5732",
         [live(0.5, 1.8, 11, 0, 13_000), notes(0.05, 0.15, 4, 2500, 1500, at="atm"), goods(0.1, 0.3, 3, 300, 700)],
         "Somebody in the same house lived on a neighbour's name for weeks.",
         "Groceries at the corner, notes from the machine next to it, at last a television {pace}.",
         "Everything happens within a few streets {where}.", **CAREFUL),
    plan("paid_once_recalled", "mail_interception", (1, 1), (1, 2), (1, 2), (1, 3), "5732 5944",
         [live(0.4, 1.3, 6, 0, 7000), goods(0.2, 0.6, 3, 3500, 200), kite(0.5, 0.9, 1, 600, 5),
          goods(0.2, 0.5, 2, 200, 100), vouchers(0.05, 0.15, 3, 60, 90)],
         "The first bill, taken from the letter box, was paid with a payment that was recalled.",
         "After that payment the card shopped on {where}.",
         "Goods twice the size of the line {pace}, gift cards at the end."),
    plan("holiday_absence", "mail_interception", (1, 1), (1, 3), (1, 2), (1, 3), "5941 5732 5311",
         [live(0.4, 1.4, 5, 0, 5000), pay_in(0.03, 0.1, 1, 300, 5), goods(0.15, 0.4, 4, 2500, 300),
          notes(0.1, 0.25, 3, 100, 200, at="atm"), goods(0.1, 0.2, 2, 700, 100, chance=0.6)],
         "The people whose post was stolen were on holiday; their new account was not.",
         "A deposit to seem serious, bicycles and notes to finish {where}.",
         "{who} come home to a reminder from a bank they do not know {pace}."),
)
# fmt: on

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "who": WHO,
    "where": {
        "domestic": ("inside the country", "not far from home", "within the country"),
        "cross_border": ("across the border", "in a neighbouring country", "abroad"),
        "remote": ("through proxies", "by way of hosting addresses", "from the other side of the world"),
    },
    "pace": {
        "burst": ("within hours", "in a single day", "in one night"),
        "steady": ("over two days", "from one day to the next", "before the week was over"),
        "slow": ("over many days", "little by little", "with long pauses"),
    },
}

BOOK = Book(
    scenario="identity_theft",
    archetypes=STOLEN_CARD + SYNTHETIC + FORGED + DECEASED + CHILD + FRONT + BREACH + MAIL,
    limits=LIMITS,
    # Days to weeks of quiet, and some hours to days at the end.
    durations={"burst": (2880, 10_080), "steady": (10_080, 24_480), "slow": (24_480, 50_400)},
    scale={"student": 0.85, "family": 1.0, "professional": 1.15, "senior": 1.05, "young_account": 0.9},
    scaled=DRAIN,
    phrases=PHRASES,
    extras=(
        Extra(("build_purchase",), subscribe(4, 20, 1, 400, 5)),
        Extra(("build_purchase",), repay(0.02, 0.1, 1, 700, 5)),
        Extra(("build_wages", "build_transfer_in"), live(0.3, 1.4, 3, 400, 2000, at="ecommerce")),
        Extra(("build_purchase",), live(0.2, 0.9, 3, 500, 2500, at="mobile")),
        Extra(("goods_purchase",), vouchers(0.04, 0.12, 2, 80, 60, at="ecommerce")),
        Extra(("goods_purchase", "transfer_out"), notes(0.04, 0.15, 1, 200, 5, at="atm")),
        Extra(("cash_withdrawal",), notes(0.05, 0.15, 2, 150, 60, at="atm")),
        Extra(("transfer_out", "cash_withdrawal"), send(0.1, 0.3, 1, 150, 5)),
        Extra(("goods_purchase", "cash_withdrawal", "transfer_out"), kite(0.4, 0.9, 1, 300, 5)),
    ),
)
