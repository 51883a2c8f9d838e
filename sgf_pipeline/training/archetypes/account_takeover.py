"""Archetypes of account takeover.

Belongs here: plans of how offenders get into a customer's account and what they take from it, after what banks,
police forces, telecom regulators and card schemes publish (leaked passwords, SIM swaps, banking trojans, call-centre
impostors, phone theft). Does not belong here: which steps exist (``sgf_pipeline.scenarios.account_takeover``).
"""

from sgf_pipeline.training.archetypes.base import WHO, Archetype, Book, Extra, Move, Range


def enrol(
    low: int, high: int, n: int, wait: int = 0, span: int = 5, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("wallet_enrolment", at, "unit", low, high, n, wait, span, only, chance, fixed=True)


def probe(
    low: float, high: float, n: int, wait: int = 0, span: int = 10, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("probe", at, "unit", low, high, n, wait, span, only, chance)


def buy(
    low: float, high: float, n: int, wait: int = 0, span: int = 60, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("purchase", at, "habit", low, high, n, wait, span, only, chance)


def splurge(
    low: float, high: float, n: int, wait: int = 0, span: int = 60, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("big_purchase", at, "balance", low, high, n, wait, span, only, chance)


def tap(low: float, high: float, n: int, wait: int = 0, span: int = 90, only: str = "lmh", chance: float = 1) -> Move:
    return Move("wallet_purchase", "pos", "habit", low, high, n, wait, span, only, chance)


def trial(
    low: float, high: float, n: int, wait: int = 0, span: int = 10, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("trial_transfer", at, "unit", low, high, n, wait, span, only, chance)


def send(
    low: float, high: float, n: int, wait: int = 0, span: int = 40, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("transfer_out", at, "balance", low, high, n, wait, span, only, chance)


def mule(low: float, high: float, n: int, wait: int = 0, span: int = 40, at: str = "@") -> Move:
    return Move("own_mule_transfer", at, "balance", low, high, n, wait, span)


def draw(
    low: float, high: float, n: int, wait: int = 0, span: int = 60, at: str = "atm", only: str = "lmh",
    chance: float = 1,
) -> Move:  # fmt: skip
    return Move("cash_withdrawal", at, "balance", low, high, n, wait, span, only, chance)


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


WEB, BANK = "ecommerce", "online_banking"
ALONE = (1, 1)
FAST = {"tempos": ("burst", "steady")}
CAREFUL = {"tempos": ("steady", "slow")}
SKILLED = {"sophistications": ("medium", "high")}

# fmt: off
STUFFING = (
    plan("botnet_hit_electronics", "credential_stuffing", ALONE, (1, 3), (1, 3), (1, 6), "5732 5045",
         [buy(3, 9, 6, 0, 70), splurge(0.15, 0.4, 2, 25, 20)],
         "A leaked password fitted and electronics were ordered to a parcel locker {pace}.",
         "After one log-in from an unknown network the account paid for phones {where}.",
         "{who} were asked to confirm deliveries of tablets that they had not ordered."),
    plan("gift_code_harvest", "credential_stuffing", ALONE, (1, 2), (1, 4), (2, 8), "5818 5816",
         [probe(1, 6, 1, 0, 1), buy(0.8, 2.5, 17, 20, 160)],
         "A long run of gift codes was bought {pace}, every one for nearly the same sum.",
         "The stored card paid for game credits again and again until somebody noticed {where}.",
         "A bot emptied one account after the other into download codes; this is one of them."),
    plan("fitting_the_habit", "credential_stuffing", ALONE, (2, 5), (1, 3), (2, 7), "5651 5661 5941",
         [buy(0.5, 1.4, 4, 0, 300), buy(0.7, 2, 4, 900, 500), buy(0.8, 2.4, 3, 1200, 500, only="mh")],
         "Clothes and shoes in usual amounts, but sent to somebody else's address.",
         "The orders look like the holder's own and only the address is new {where}.",
         "{who} overlooked purchases that fitted their habits for a while.", **CAREFUL),
    plan("sweep_current_account", "credential_stuffing", ALONE, (1, 3), (1, 2), (1, 4), "",
         [send(0.3, 0.6, 3, 0, 25), send(0.5, 0.9, 2, 12, 10)],
         "The password from a hacked forum opened the bank log-in and the balance was sent off.",
         "Transfers to new payees follow one log-in and leave the account nearly empty {where}.",
         "Three large transfers and two smaller ones {pace}, none to anybody known."),
    plan("trial_cent_then_drain", "credential_stuffing", ALONE, (1, 4), (1, 3), (1, 5), "",
         [trial(1, 9, 2, 0, 20), send(0.15, 0.35, 4, 60, 90), send(0.3, 0.7, 1, 40, 5, chance=0.7)],
         "A few coins were sent first; when they had arrived the rest followed.",
         "Small transfer, pause, then large ones to the same account {where}.",
         "{who} noticed a payment of a few units too late to stop the next ones."),
    plan("feeds_two_mules", "credential_stuffing", (2, 3), (0, 2), (1, 4), (2, 6), "",
         [mule(0.15, 0.4, 3, 0, 40), mule(0.2, 0.5, 2, 60, 30)],
         "The money went to other customers of the same bank, who keep none of it.",
         "Instant transfers to accounts of young customers, several parts in a row {pace}.",
         "A ring guesses passwords and sends what it finds to its own mules {where}."),
    plan("shop_and_wire", "credential_stuffing", ALONE, (2, 5), (1, 5), (2, 8), "5311 5399",
         [buy(2, 6, 3, 0, 60, at=WEB), send(0.2, 0.5, 2, 40, 20, at=BANK), buy(3, 10, 2, 30, 25, at="mobile")],
         "One password served for the shop and the bank, and both were used {pace}.",
         "Marketplace orders alternate with transfers out of the account {where}.",
         "Shopping, sending and shopping again: the offender held two log-ins of one person."),
    plan("probe_shop_then_bank", "credential_stuffing", ALONE, (1, 3), (1, 4), (1, 6), "5815 4899",
         [probe(2, 12, 2, 0, 15, at=WEB), trial(1, 20, 1, 300, 5, at=BANK), send(0.1, 0.3, 4, 500, 200, at="net")],
         "A streaming charge showed that the card lives; days of small transfers came after.",
         "First a subscription, then a coin to a new payee, then the savings {where}.",
         "{who} saw an unknown subscription, shrugged, and lost a good part of the account."),
    plan("loyalty_and_card", "credential_stuffing", ALONE, (1, 2), (1, 2), (1, 3), "4511 7011 4722",
         [buy(4, 12, 3, 0, 40), buy(8, 25, 1, 30, 5, chance=0.6), splurge(0.3, 0.6, 1, 20, 5)],
         "Flights and hotel nights for strangers were booked on the stored card.",
         "Short-notice travel for other names, paid at one sitting {where}.",
         "{who} found confirmations for journeys they will not make {pace}."),
)

SIM_SWAP = (
    plan("number_gone_at_noon", "sim_swap", ALONE, (1, 3), (1, 2), (1, 4), "",
         [send(0.3, 0.7, 2, 0, 15), send(0.4, 0.9, 2, 10, 10), draw(0.05, 0.2, 2, 30, 40)],
         "The phone lost its network, and meanwhile the account was emptied.",
         "Codes went to another SIM; two large transfers, then cash {where}.",
         "{who} stood in a phone shop while their money left {pace}."),
    plan("new_app_raised_limit", "sim_swap", ALONE, (1, 3), (1, 3), (1, 5), "",
         [trial(1, 5, 1, 0, 1), send(0.5, 0.9, 1, 30, 5), send(0.2, 0.5, 4, 45, 60)],
         "The banking app was set up anew on another phone and the limit was tested at once.",
         "A coin, then as much as the day's limit allows, then in parts {where}.",
         "First one transfer too large for the limit, then several that fit {pace}."),
    plan("swap_and_mule_line", "sim_swap", (2, 4), (0, 1), (1, 3), (2, 5), "",
         [mule(0.2, 0.5, 3, 0, 30), mule(0.3, 0.6, 2, 40, 30), draw(0.05, 0.15, 1, 20, 5, chance=0.5)],
         "With the number in hand the gang paid its mules at the same bank.",
         "The victim's codes confirmed transfers to customers he has never met {where}.",
         "Mules were lined up before the number was moved; all were paid {pace}."),
    plan("swap_wallet_spree", "sim_swap", ALONE, (2, 4), (1, 3), (1, 5), "5732 5977 5944",
         [enrol(0, 0, 1, 0, 1, at="mobile"), tap(2, 6, 5, 40, 120), buy(2, 7, 2, 60, 30, at="mobile"),
          send(0.1, 0.3, 1, 30, 5, at=BANK)],
         "The card moved into a foreign phone's wallet and went shopping in town.",
         "A card enrolled by a code that the holder never saw, then tills and the app {where}.",
         "Perfume, watches, phones: bought by tapping, while {who} had no signal."),
    plan("weekend_swap_slow_drain", "sim_swap", ALONE, (2, 5), (1, 4), (2, 7), "",
         [send(0.05, 0.15, 3, 0, 400), send(0.08, 0.2, 3, 900, 400), send(0.1, 0.25, 3, 1100, 400, only="mh")],
         "Since the number still seemed out of order, small transfers went on for days.",
         "Portions that raise no alarm leave for changing accounts {where}.",
         "{who} blamed the operator; the account shrank a little every day.", **CAREFUL),
    plan("crypto_exchange_deposit", "sim_swap", ALONE, (1, 2), (1, 3), (2, 6), "6051 5816",
         [buy(3, 9, 2, 0, 10, at="mobile"), send(0.3, 0.6, 3, 30, 40), splurge(0.2, 0.5, 1, 20, 5, at="mobile")],
         "The same codes opened an exchange, which took transfers and a card payment.",
         "Money went to a coin dealer's account and nothing came back {where}.",
         "A number taken over, an exchange account filled {pace}."),
    plan("insider_shop_swap", "sim_swap", (2, 3), (1, 3), (1, 4), (2, 7), "",
         [trial(2, 15, 2, 0, 30), mule(0.1, 0.3, 2, 300, 60), send(0.1, 0.3, 3, 400, 200)],
         "A bribed clerk moved the number; the sums were chosen with the balance in view.",
         "Trials first, then one part to a mule here and the rest elsewhere {where}.",
         "{who} report that their operator knows of no request of theirs."),
    plan("cardless_cash_codes", "sim_swap", ALONE, (1, 2), (1, 2), (1, 3), "",
         [draw(0.1, 0.3, 3, 0, 60), send(0.2, 0.5, 2, 40, 30), draw(0.1, 0.3, 2, 300, 40)],
         "Codes for cash without a card were drawn on the stolen number.",
         "Machine, transfer, machine: cash and wire take turns {where}.",
         "Withdrawals stop at the day's limit and go on the next day."),
)

MALWARE = (
    plan("overlay_trojan", "malware_remote_session", ALONE, (1, 4), (0, 2), (0, 3), "",
         [send(0.2, 0.5, 3, 0, 30), send(0.3, 0.6, 2, 25, 20)],
         "A false log-in page over the real app caught the password and sent money by itself.",
         "The transfers came out of the victim's own session, minutes after he had logged in.",
         "A trojan paid new payees {pace} from a device that the bank knows well."),
    plan("fake_support_remote", "malware_remote_session", ALONE, (1, 3), (0, 1), (0, 2), "",
         [trial(1, 10, 1, 0, 1), send(0.3, 0.7, 2, 20, 25), send(0.1, 0.4, 3, 30, 40)],
         "Somebody who claimed to repair the computer stayed connected and moved the savings.",
         "Screen dark, mouse moving: transfers left while support was on the line {where}.",
         "{who} let a helper in who helped himself {pace}."),
    plan("payee_swapped_batch", "malware_remote_session", ALONE, (2, 6), (0, 2), (0, 2), "",
         [send(0.03, 0.1, 6, 0, 900), send(0.05, 0.15, 4, 900, 600)],
         "Ordinary payments went out with the account number of somebody else.",
         "Each amount looks like a bill, each recipient is new {where}.",
         "Bills of {who} were paid to strangers, one after the other."),
    plan("automatic_mule_router", "malware_remote_session", (2, 5), (0, 2), (0, 2), (1, 4), "",
         [mule(0.1, 0.3, 4, 0, 60), mule(0.1, 0.3, 2, 60, 40)],
         "The trojan asked its server for a mule and was given one at this very bank.",
         "Parts of the balance were handed to several customers who pass them on {where}.",
         "Automated transfers to mules {pace}, each under the size that is looked at."),
    plan("night_session", "malware_remote_session", ALONE, (1, 3), (0, 2), (1, 4), "",
         [send(0.4, 0.8, 2, 0, 10), send(0.5, 0.9, 1, 15, 5), trial(1, 5, 1, 20, 5, chance=0.4)],
         "By night the unlocked computer paid out what lay on the account.",
         "A session nobody sat at, two or three transfers, an empty account {where}.",
         "Large transfers to one foreign account while {who} slept.", **FAST),
    plan("trojan_shops_too", "malware_remote_session", ALONE, (2, 4), (0, 2), (0, 3), "5732 5818",
         [buy(2, 6, 3, 0, 60, at="mobile"), send(0.1, 0.3, 3, 60, 60), splurge(0.1, 0.3, 2, 50, 30, at=WEB)],
         "Card data were read from the browser and used beside the transfers.",
         "Purchases and transfers come out of one infected device {where}.",
         "Codes, electronics and transfers on the same evening, all from the known phone."),
    plan("patient_keylogger", "malware_remote_session", (2, 3), (1, 4), (0, 3), (1, 5), "",
         [trial(5, 40, 2, 0, 600), send(0.04, 0.12, 4, 1500, 900), mule(0.05, 0.15, 2, 1500, 300)],
         "The offender watched for weeks and imitates size and hour of the usual payments.",
         "Small sums to two or three payees that look like friends {where}.",
         "{who} never saw a strange log-in, only a balance lower than it should be."),
    plan("grandchild_tool_misused", "malware_remote_session", ALONE, (1, 2), (0, 1), (0, 2), "",
         [send(0.15, 0.4, 2, 0, 20, at=BANK), send(0.2, 0.5, 2, 200, 30, at="mobile"),
          draw(0.05, 0.15, 2, 100, 60, chance=0.5)],
         "Remote help that was installed for good reasons stayed open for others.",
         "Transfers from web page and app in turn, by whoever holds the remote tool {where}.",
         "A tool for family help was found by strangers {pace}."),
)

SESSION = (
    plan("cookie_market_shop", "session_hijack", ALONE, (1, 2), (1, 2), (1, 4), "5399 5311",
         [buy(1.5, 5, 7, 0, 80), buy(3, 9, 2, 40, 20, chance=0.7)],
         "A bought cookie let a stranger shop without any log-in.",
         "Orders began in the middle of a session and on another network {where}.",
         "The marketplace account of one of our {who} went on shopping on its own."),
    plan("one_click_reorders", "session_hijack", ALONE, (1, 1), (1, 2), (1, 3), "5732 5045 5734",
         [buy(2, 6, 4, 0, 25), splurge(0.1, 0.35, 3, 20, 25)],
         "One-click orders on a stored card, with the parcel address changed first.",
         "Hardware orders in quick succession at one shop {where}.",
         "{who} received mails about orders while their own cart was still open."),
    plan("digital_goods_by_cookie", "session_hijack", ALONE, (1, 3), (1, 3), (2, 6), "5816 5817 5815",
         [probe(0.9, 5, 2, 0, 5), buy(0.6, 2, 12, 8, 60), buy(1.5, 4, 3, 20, 15, only="mh")],
         "An app store session was copied and turned into credits.",
         "Small digital purchases in a stream {pace}, all within one stolen session.",
         "Credits and codes pile up {where}; the account's owner was only reading news."),
    plan("food_and_rides", "session_hijack", ALONE, (2, 4), (1, 4), (2, 7), "5814 4121 5812",
         [buy(0.6, 1.8, 6, 0, 400), buy(0.8, 2.2, 5, 500, 400)],
         "Rides and meals for others were charged to a delivery account left open.",
         "The app ordered dinners in a town where the holder was not {where}.",
         "{who} paid for strangers' taxis without having lost anything but a cookie."),
    plan("bank_tab_left_open", "session_hijack", ALONE, (1, 3), (1, 2), (1, 3), "",
         [send(0.3, 0.6, 2, 0, 10), send(0.3, 0.8, 2, 8, 10)],
         "The bank's session was taken over from a shared computer.",
         "Without a new log-in, transfers to unknown payees left the account {where}.",
         "Four transfers {pace} in a session that {who} thought closed."),
    plan("proxy_in_the_middle", "session_hijack", (2, 3), (1, 2), (1, 4), (2, 8), "",
         [trial(1, 8, 1, 0, 1), mule(0.2, 0.4, 2, 15, 15), send(0.2, 0.5, 2, 20, 20)],
         "Between victim and bank sat a relay that kept the session for itself.",
         "The session moved to another network and paid a mule and an account elsewhere {where}.",
         "A trial, two parts to a customer here, two away {pace}."),
    plan("token_reuse_app", "session_hijack", ALONE, (1, 4), (1, 4), (2, 7), "",
         [send(0.05, 0.15, 4, 0, 200), send(0.1, 0.2, 4, 300, 200), trial(10, 50, 1, 100, 5, chance=0.5)],
         "A copied app token stayed valid and was used a little at a time.",
         "Many middling transfers, never two alike, always from the same token {where}.",
         "{who} changed the password, but the old session went on paying."),
    plan("shop_session_bank_session", "session_hijack", ALONE, (2, 5), (1, 5), (2, 9), "5651 5977",
         [buy(1, 3, 3, 0, 60, at=WEB), send(0.1, 0.3, 3, 60, 60, at=BANK), buy(1, 3, 3, 60, 60, at="mobile")],
         "An infostealer took all cookies of a browser, the shop's and the bank's.",
         "Clothing, transfers, clothing: several sessions of one person used in turn {where}.",
         "Every site where {who} were logged in was visited {pace}.", **SKILLED),
    plan("ticket_resale", "session_hijack", ALONE, (1, 2), (1, 3), (1, 5), "7922 7941",
         [buy(3, 8, 3, 0, 30), splurge(0.1, 0.3, 2, 30, 20), buy(2, 6, 2, 60, 30, at="mobile")],
         "Tickets for a sold-out concert were bought and sent on to buyers.",
         "Several seats of high price, then more by app, on somebody else's session {where}.",
         "{who} own tickets for shows they had never heard of."),
)

CALL_CENTRE = (
    plan("lost_phone_story", "call_centre_reset", ALONE, (1, 3), (1, 2), (1, 3), "",
         [send(0.3, 0.6, 2, 0, 30, at="net"), draw(0.08, 0.25, 3, 60, 90), send(0.3, 0.7, 1, 60, 5, at="net")],
         "A caller who had lost his phone was given a new log-in and used it at once.",
         "After a reset by telephone came transfers and cash machines {where}.",
         "{who} learned of the reset from a letter that came days later."),
    plan("replacement_card_cash", "call_centre_reset", ALONE, (0, 1), (1, 2), (1, 2), "",
         [draw(0.1, 0.25, 3, 0, 120), draw(0.1, 0.25, 3, 1200, 120), draw(0.1, 0.3, 2, 1300, 120)],
         "A second card was ordered to a new address and drew cash on several days.",
         "Withdrawals up to the day's limit, day after day {where}.",
         "The card of one of our {who} works at machines he never visits {pace}."),
    plan("counter_with_false_id", "call_centre_reset", ALONE, (1, 2), (1, 2), (1, 3), "",
         [send(0.1, 0.3, 1, 0, 5, at="net"), draw(0.2, 0.5, 2, 200, 200, at="branch"),
          draw(0.05, 0.2, 3, 100, 100)],
         "With the new telephone number on file a false identity card was believed at the counter.",
         "Large sums over the counter, smaller ones from machines, a transfer before {where}.",
         "Cash left by counter and machine in {who}' names."),
    plan("address_change_first", "call_centre_reset", ALONE, (2, 4), (1, 3), (2, 5), "5732 5712",
         [trial(5, 30, 1, 0, 5, at="net"), buy(3, 9, 2, 600, 120, at=WEB), send(0.1, 0.35, 3, 500, 200, at="net"),
          draw(0.05, 0.15, 2, 300, 100)],
         "Address and number were changed by telephone, a week before anything was taken.",
         "Furniture to the new address, money to new payees, cash besides {where}.",
         "One call about a change of address, and everything that followed {pace}.", **CAREFUL),
    plan("mule_named_as_daughter", "call_centre_reset", (2, 3), (0, 2), (1, 3), (1, 4), "",
         [mule(0.2, 0.5, 2, 0, 30, at="net"), mule(0.2, 0.4, 2, 300, 60, at="net"), draw(0.05, 0.2, 2, 60, 60)],
         "The impostor called the payee his daughter; she is a mule of the same bank.",
         "Transfers inside the bank with friendly words, then machines {where}.",
         "Agents heard a patient voice; {who} lost a part of their savings {pace}."),
    plan("limit_raised_by_agent", "call_centre_reset", ALONE, (1, 3), (1, 3), (1, 5), "",
         [send(0.6, 0.95, 2, 0, 20), send(0.3, 0.6, 3, 40, 40), draw(0.05, 0.1, 1, 60, 5, chance=0.4)],
         "An agent raised the limit on request and one transfer took most of the money.",
         "First refused, then waved through after a second call {where}.",
         "The largest transfer this account has ever seen, after two calls {pace}.", **FAST),
    plan("many_agents_tried", "call_centre_reset", (2, 4), (1, 3), (1, 4), (2, 7), "",
         [trial(1, 20, 2, 0, 100), send(0.05, 0.2, 3, 300, 200), mule(0.05, 0.2, 3, 300, 200)],
         "The gang called until some agent believed it, then took moderate parts.",
         "Trials, then parts of like size to accounts here and elsewhere {where}.",
         "A well-prepared caller knew birthdays and pets of {who}."),
    plan("emergency_cash_abroad", "call_centre_reset", ALONE, (1, 2), (1, 2), (1, 4), "",
         [draw(0.1, 0.3, 2, 0, 40), send(0.2, 0.4, 2, 60, 40, at="net"), draw(0.1, 0.3, 2, 400, 60)],
         "The caller was stranded without wallet and needed emergency cash.",
         "A story of a robbed traveller, then machines and transfers {where}.",
         "{who} were at home all the time while their account travelled {pace}."),
    plan("app_on_second_phone", "call_centre_reset", ALONE, (1, 4), (1, 4), (2, 6), "5732 5311",
         [enrol(0, 1, 1, 0, 1, at="mobile"), send(0.1, 0.3, 3, 30, 60, at="net"), tap(2, 5, 3, 60, 90),
          draw(0.05, 0.2, 2, 60, 60)],
         "After the reset a second phone held app and card, and used both.",
         "Transfers, taps at tills and cash, all by one new phone {where}.",
         "The app moved to another phone with the help of an obliging agent."),
)

STOLEN = (
    plan("bar_shoulder_surf", "stolen_phone", ALONE, (1, 2), (0, 1), (0, 1), "5812 5813 5814",
         [tap(1, 3, 5, 0, 120), send(0.3, 0.7, 2, 60, 30, at="mobile"), draw(0.05, 0.2, 2, 30, 40)],
         "The code was watched in a bar, the phone taken at the door, and drinks came first.",
         "Rounds of drinks, then the app, then a cash machine {where}.",
         "A stolen phone paid all night {pace}; {who} missed it in the morning."),
    plan("snatched_unlocked", "stolen_phone", ALONE, (1, 2), (0, 1), (0, 1), "",
         [send(0.4, 0.8, 2, 0, 10, at="mobile"), send(0.3, 0.8, 2, 10, 15, at="mobile")],
         "The phone was torn out of the hand while unlocked and the app was open.",
         "Minutes after the theft the balance left for unknown accounts {where}.",
         "A cyclist took the phone; the transfers were done {pace}."),
    plan("tap_tour_of_town", "stolen_phone", ALONE, (2, 4), (0, 1), (0, 2), "5732 5977 5661",
         [tap(0.8, 2.5, 4, 0, 90), tap(2, 6, 5, 30, 120), tap(4, 10, 2, 40, 60, chance=0.7)],
         "A tour of the shopping street, tap after tap, until the card was blocked.",
         "Purchases at tills grow from shop to shop {where}.",
         "The wallet in {who}' phone bought shoes, perfume and speakers {pace}."),
    plan("cash_point_with_pin", "stolen_phone", ALONE, (1, 2), (0, 1), (0, 1), "5411 5541",
         [draw(0.15, 0.4, 3, 0, 40), tap(1, 3, 3, 40, 60), draw(0.1, 0.3, 2, 700, 30)],
         "Phone and PIN served at machines before and after midnight, so that two limits count.",
         "Cash at once, fuel and food, and cash again when the day had changed {where}.",
         "Thieves of phones know the day's limit: {who} lost it twice."),
    plan("app_to_mule", "stolen_phone", (2, 3), (0, 1), (0, 2), (0, 2), "",
         [mule(0.2, 0.5, 2, 0, 20, at="mobile"), mule(0.3, 0.6, 2, 30, 20, at="mobile"), draw(0.05, 0.15, 1, 30, 5)],
         "The thief's friend banks here too and was paid from the stolen phone.",
         "App transfers to a customer of the bank, then cash {where}.",
         "A phone gone in the metro, mules paid {pace}."),
    plan("tourist_pickpocket", "stolen_phone", ALONE, (1, 4), (0, 2), (0, 3), "5944 5651 5732",
         [tap(2, 7, 4, 0, 100), buy(2, 6, 2, 60, 40, at="mobile"), draw(0.1, 0.2, 2, 60, 60, chance=0.8)],
         "A pickpocket worked the sights and knew the shops with quick tills.",
         "Watches and clothes near the station, then orders by app {where}.",
         "{who} lost a phone in the crowd, and a week's budget with it."),
    plan("friend_borrowed_phone", "stolen_phone", ALONE, (1, 3), (0, 0), (0, 1), "5814 5816 5817",
         [buy(0.5, 1.5, 4, 0, 300, at="mobile"), tap(0.5, 1.5, 4, 300, 300), send(0.05, 0.2, 2, 300, 60, at="mobile")],
         "Somebody near the owner used the phone now and then for games and snacks.",
         "Small sums in the usual quarter {pace}, by a hand that knows the code.",
         "Snacks, games and two small transfers; nobody suspected a friend {where}."),
    plan("reset_by_stolen_phone", "stolen_phone", ALONE, (2, 4), (1, 2), (1, 3), "5732 5399",
         [trial(1, 10, 1, 0, 1, at="mobile"), send(0.2, 0.5, 2, 60, 20, at="mobile"),
          splurge(0.2, 0.4, 2, 60, 40, at="mobile"), tap(1, 4, 3, 60, 60)],
         "All passwords were changed by codes sent to the stolen phone itself.",
         "Coin, transfers, large orders, then the tills {where}.",
         "The phone was the key to everything that {who} had."),
    plan("gang_machine_round", "stolen_phone", ALONE, (1, 2), (0, 2), (0, 2), "5921 5993",
         [draw(0.1, 0.2, 4, 0, 60), draw(0.1, 0.2, 3, 60, 60), tap(1, 2.5, 3, 30, 40, only="lm")],
         "A round of cash machines by a crew with a bag of phones.",
         "Tries at machine after machine, some beyond the limit {where}.",
         "Cash and cigarettes {pace}, with the phone of somebody who sleeps."),
)

BREACH = (
    plan("stored_card_reused", "data_breach_reuse", ALONE, (1, 2), (1, 2), (1, 4), "5399 5311 5964",
         [buy(1.5, 4, 5, 0, 60), buy(3, 8, 2, 40, 30)],
         "A password from an old breach opened a shop account with the card still in it.",
         "Orders to a new address at a shop where the customer last bought years ago {where}.",
         "{who} had used one password for ten shops; one of them was enough."),
    plan("marketplace_seller_friend", "data_breach_reuse", ALONE, (1, 1), (1, 3), (1, 5), "5399",
         [probe(2, 15, 1, 0, 1), splurge(0.15, 0.45, 3, 60, 90), buy(3, 8, 2, 60, 60, chance=0.7)],
         "The stolen account bought from a seller who belongs to the thief.",
         "Large orders at one marketplace, for goods that are never shipped {where}.",
         "A buyer's account is used to pay a false seller {pace}."),
    plan("subscription_upgrade", "data_breach_reuse", ALONE, (1, 3), (1, 3), (1, 5), "5968 4899 5815",
         [probe(3, 20, 3, 0, 600), buy(0.5, 1.5, 6, 900, 2000)],
         "Subscriptions were upgraded and given to others, month's price after month's price.",
         "Small recurring sums that nobody looks at {where}.",
         "{who} paid for strangers' films and boxes without noticing {pace}."),
    plan("grocery_delivery", "data_breach_reuse", ALONE, (1, 3), (1, 3), (2, 6), "5411 5499",
         [buy(0.8, 2, 5, 0, 500), buy(1, 2.6, 4, 700, 500)],
         "Groceries went to another door, basket after ordinary basket.",
         "The weekly shop of somebody else, charged to an account in {who}' name.",
         "Food orders in usual amounts {pace}, at an address across town.", **CAREFUL),
    plan("shoe_drop_bots", "data_breach_reuse", ALONE, (1, 2), (2, 5), (3, 10), "5661 5941",
         [buy(2, 6, 9, 0, 25), buy(3, 9, 6, 15, 20, chance=0.6)],
         "When a rare shoe came out, dozens of broken-into accounts ordered it at once.",
         "Rapid orders of one article by a bot {where}, most of them resold.",
         "{who} bought sneakers in several sizes {pace}.", **FAST),
    plan("travel_points_top_up", "data_breach_reuse", ALONE, (1, 3), (1, 3), (1, 5), "4722 7011 4511",
         [splurge(0.2, 0.5, 1, 0, 5), buy(5, 15, 2, 90, 60), buy(3, 8, 2, 600, 100)],
         "A booking account was used for rooms in other people's names.",
         "One dear booking, then cheaper ones as long as it worked {where}.",
         "{who} would be in two hotels at once this week."),
    plan("fuel_and_charge_app", "data_breach_reuse", ALONE, (1, 3), (1, 4), (1, 5), "5541 7523 4121",
         [enrol(0, 1, 1, 0, 1), buy(0.6, 1.8, 5, 60, 400, at="mobile"), buy(0.8, 2, 4, 500, 400)],
         "A parking and fuel account was copied to another phone.",
         "Fuel, parking, rides: ordinary sums at places where the holder is not {where}.",
         "The app of one of our {who} fills somebody else's tank {pace}."),
    plan("gift_cards_by_mail", "data_breach_reuse", ALONE, (1, 3), (1, 2), (1, 3), "5947 5818 5311",
         [buy(1, 3, 8, 0, 50), splurge(0.1, 0.3, 2, 20, 15)],
         "Vouchers were ordered by mail to an address made up the same day.",
         "Gift cards of rising value from one shop account {where}.",
         "Eight vouchers, then two large ones {pace}, before {who} read their mail."),
    plan("test_then_wait_then_buy", "data_breach_reuse", ALONE, (1, 4), (1, 4), (2, 8), "5732 5045 5200",
         [probe(0.9, 4, 1, 0, 1), buy(0.8, 2, 2, 2000, 200), buy(2, 5, 3, 1500, 300), splurge(0.1, 0.3, 1, 900, 5)],
         "A single cheap order proved the account; the dear ones came much later.",
         "Orders grow with every week in which nobody complains {where}.",
         "A patient thief let {who} forget the first small charge.", **CAREFUL),
)

MAILBOX = (
    plan("reset_chain_shops", "mailbox_takeover", ALONE, (2, 5), (1, 3), (2, 6), "5399 5732 5651",
         [buy(1, 3, 4, 0, 200), buy(2, 5, 4, 400, 300), splurge(0.1, 0.3, 1, 300, 5, chance=0.6)],
         "Whoever read the mail reset one shop after the other and deleted the notices.",
         "New shops every day, all with the same mail address and card {where}.",
         "{who} saw no order mails because somebody removed them."),
    plan("bank_letters_by_mail", "mailbox_takeover", ALONE, (1, 3), (1, 3), (2, 5), "",
         [trial(2, 25, 1, 0, 5), send(0.1, 0.3, 3, 600, 300), send(0.2, 0.4, 2, 900, 200)],
         "The bank's own reset link arrived in a mailbox that was no longer the owner's.",
         "A first small transfer, a pause for answers, then larger ones {where}.",
         "Transfers by somebody who reads the mail of {who} before they do."),
    plan("invoice_folder_known", "mailbox_takeover", ALONE, (2, 6), (1, 4), (2, 8), "",
         [send(0.04, 0.12, 4, 0, 900), send(0.06, 0.18, 4, 900, 900)],
         "Old bills in the mailbox showed which sums would not be noticed.",
         "Amounts like rent, power and school fees, to other accounts {where}.",
         "The thief paid himself {who}' bills {pace}."),
    plan("family_photo_blackmail_no_buy", "mailbox_takeover", ALONE, (1, 3), (1, 2), (2, 5), "5816 5818 5947",
         [probe(1, 9, 2, 0, 60), buy(0.8, 2, 8, 300, 600)],
         "From the mailbox a stranger went on to the app store and bought codes.",
         "Codes in usual amounts, a few a day {where}.",
         "A store account was reset by mail and lives on {who}' card {pace}."),
    plan("forwarding_rule_mule", "mailbox_takeover", (2, 3), (0, 2), (1, 3), (2, 6), "",
         [mule(0.1, 0.25, 2, 0, 200, at=BANK), mule(0.1, 0.3, 3, 900, 300, at=BANK)],
         "A hidden forwarding rule kept the warnings away while mules were paid.",
         "Transfers to customers of the bank, spaced by days {where}.",
         "{who} were warned by mail each time, and each mail was moved away."),
    plan("travel_booking_intercept", "mailbox_takeover", ALONE, (1, 4), (1, 3), (2, 7), "4511 4722 7011",
         [buy(4, 12, 2, 0, 100, at=WEB), send(0.05, 0.2, 2, 700, 100, at=BANK), buy(3, 9, 2, 600, 100, at=WEB)],
         "Bookings in the mailbox were changed, paid again and refunded elsewhere.",
         "Flights, a transfer, rooms: by somebody with the password to all of it {where}.",
         "Travel that {who} had planned was taken over by others {pace}."),
    plan("shop_reset_bank_reset", "mailbox_takeover", (2, 2), (1, 4), (1, 4), (2, 8), "5311 5045",
         [probe(3, 15, 1, 0, 5, at=WEB), buy(1.5, 4, 3, 300, 200, at=WEB), mule(0.1, 0.3, 2, 600, 100, at=BANK),
          splurge(0.1, 0.25, 1, 300, 5, at=WEB)],
         "Shop first, bank next: each reset link opened the next door.",
         "A test order, goods, two parts to a mule, and one dear order to end with {where}.",
         "Whoever held the mailbox of {who} worked through a list."),
    plan("quiet_reader", "mailbox_takeover", ALONE, (2, 5), (1, 5), (3, 10), "5651 5942 5719",
         [buy(0.5, 1.3, 3, 0, 900, at=WEB), send(0.03, 0.1, 3, 900, 900, at=BANK), buy(0.6, 1.6, 3, 900, 900, at=WEB)],
         "Nothing stands out: books, linen, small transfers, all of it by a silent reader.",
         "Habits learned from old mails are imitated to the hour {where}.",
         "{who} found out by chance, when a parcel came back."),
    plan("cloud_storage_passwords", "mailbox_takeover", ALONE, (2, 4), (1, 4), (2, 8), "5734 5817 5732",
         [probe(5, 22, 2, 0, 60, at=WEB), trial(1, 12, 1, 200, 5, at=BANK), send(0.15, 0.4, 2, 300, 100, at=BANK),
          buy(2, 6, 3, 300, 200, at=WEB)],
         "A note with passwords lay in the mailbox's cloud, and every one still worked.",
         "Software on trial, a coin by transfer, then real sums on both ways {where}.",
         "One list of passwords cost {who} shop, store and bank {pace}."),
)
# fmt: on

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "who": WHO,
    "where": {
        "domestic": ("within the country", "from a nearby town", "without leaving the country"),
        "cross_border": ("from across the border", "from a neighbouring country", "over the border"),
        "remote": ("from far away", "by way of proxies", "from the other end of the world"),
    },
    "pace": {
        "burst": ("within hours", "in one go", "before anybody looked"),
        "steady": ("over two or three days", "day by day", "over a long weekend"),
        "slow": ("over a week or two", "a little at a time", "with long pauses"),
    },
}

BOOK = Book(
    scenario="account_takeover",
    archetypes=STUFFING + SIM_SWAP + MALWARE + SESSION + CALL_CENTRE + STOLEN + BREACH + MAILBOX,
    limits={
        "wallet_enrolment": (0, 1),
        "probe": (0.5, 25.0),
        "purchase": (0.3, 40.0),
        "big_purchase": (0.02, 0.9),
        "wallet_purchase": (0.3, 20.0),
        "trial_transfer": (1.0, 60.0),
        "transfer_out": (0.02, 1.0),
        "own_mule_transfer": (0.02, 1.0),
        "cash_withdrawal": (0.02, 1.0),
    },
    durations={"burst": (10, 720), "steady": (720, 5760), "slow": (5760, 20_160)},
    scale={"student": 0.8, "family": 1.0, "professional": 1.3, "senior": 1.1, "young_account": 0.85},
    scaled=("purchase", "wallet_purchase", "probe"),
    phrases=PHRASES,
    extras=(
        Extra(("purchase", "wallet_purchase"), buy(0.6, 2, 2, 60, 60, at="mobile")),
        Extra(("purchase", "big_purchase"), buy(2, 6, 1, 90, 5, at=WEB)),
        Extra(("purchase", "wallet_purchase"), probe(1, 12, 1, 40, 5, at="mobile")),
        Extra(("transfer_out", "trial_transfer"), send(0.05, 0.25, 2, 90, 40, at="net")),
        Extra(("transfer_out",), trial(1, 30, 1, 60, 5, at="net")),
        Extra(("own_mule_transfer",), mule(0.1, 0.3, 1, 60, 5, at="net")),
        Extra(("cash_withdrawal",), draw(0.05, 0.2, 1, 90, 5)),
    ),
)
