"""Archetypes of phishing.

Belongs here: plans of how people are talked into paying or robbed with what they gave away, after the typologies that
banks' associations, consumer advice and the police publish (authorised push payments by kind of story, smishing, copied
log-in pages, money mules). Does not belong here: which steps exist (``sgf_pipeline.scenarios.phishing``).
"""

from sgf_pipeline.training.archetypes.base import WHO, Archetype, Book, Extra, Move, Range


def savings(low: float, high: float, n: int, wait: int = 0, span: int = 30, chance: float = 1) -> Move:
    return Move("savings_in", "net", "balance", low, high, n, wait, span, "lmh", chance)


def trial(
    low: float, high: float, n: int, wait: int = 0, span: int = 10, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("victim_try", at, "habit", low, high, n, wait, span, only, chance)


def pay(
    low: float, high: float, n: int, wait: int = 0, span: int = 10, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("victim_payment", at, "balance", low, high, n, wait, span, only, chance)


def buy(
    low: float, high: float, n: int, wait: int = 0, span: int = 20, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("victim_purchase", at, "habit", low, high, n, wait, span, only, chance)


def probe(
    low: float, high: float, n: int, wait: int = 0, span: int = 5, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("credential_try", at, "habit", low, high, n, wait, span, only, chance)


def drain(
    low: float, high: float, n: int, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("credential_transfer", at, "balance", low, high, n, wait, span, only, chance)


def shop(
    low: float, high: float, n: int, wait: int, span: int, at: str = "@", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("credential_purchase", at, "habit", low, high, n, wait, span, only, chance)


def on(low: float, high: float, n: int, wait: int, span: int, only: str = "lmh", chance: float = 1) -> Move:
    return Move("mule_transfer", "net", "carry", low, high, n, wait, span, only, chance)


def cash(
    low: float, high: float, n: int, wait: int, span: int, at: str = "atm", only: str = "lmh", chance: float = 1
) -> Move:
    return Move("mule_withdrawal", at, "carry", low, high, n, wait, span, only, chance)


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


CAREFUL = {"tempos": ("steady", "slow")}
SKILLED = {"sophistications": ("medium", "high")}
NO_ONE = (0, 2)  # devices and addresses of an offender who never touches the account

# fmt: off
INVOICE = (
    plan("craftsmans_bill", "invoice_redirection", (2, 3), (1, 2), NO_ONE, (0, 3), "",
         [pay(0.4, 0.8, 1), cash(0.2, 0.4, 4, 300, 900), cash(0.3, 0.6, 2, 600, 200, at="branch", chance=0.5)],
         "A roofer's bill came by mail with another account on it; the sum was withdrawn in cash.",
         "The bill was real, its account number was not, and machines paid the money out {where}.",
         "One of our {who} paid a builder who still waits for his money."),
    plan("deposit_then_balance_due", "invoice_redirection", (1, 2), (1, 3), NO_ONE, (0, 2), "",
         [pay(0.15, 0.3, 1), pay(0.4, 0.8, 1, 4000, 5), pay(0.2, 0.5, 2, 2500, 600, chance=0.7)],
         "Down payment and balance of a kitchen both went to an account that a stranger had inserted.",
         "A mailbox was read along: the offender answered in the supplier's name {pace}.",
         "The shop never got the rates; the changed account lies with another bank {where}."),
    plan("clinic_fees_three_families", "invoice_redirection", (4, 7), (1, 3), (0, 3), (1, 4), "",
         [pay(0.3, 0.6, 4, 0, 900), on(0.4, 0.7, 2, 60, 60), cash(0.2, 0.5, 4, 60, 500)],
         "A dentist's mailbox was broken into, and several patients paid the same false account.",
         "Patients of one practice are told of a new account; a customer of ours holds it.",
         "{who} paid treatment bills to a mule, who shared the money between cash and a transfer {where}."),
    plan("notary_house_money", "invoice_redirection", (2, 3), (2, 4), (1, 3), (1, 5), "",
         [savings(1.5, 4, 2, 0, 300), trial(2, 6, 1, 200, 5), pay(0.8, 0.97, 1, 1500, 5), on(0.3, 0.48, 5, 30, 200),
          cash(0.1, 0.3, 3, 40, 200)],
         "Savings for a flat were gathered and sent to the account in a forged letter of the notary.",
         "A small payment tested the account, then the price of a home left in one transfer {where}.",
         "The completion date was real and known; the account had been changed by somebody who read along.",
         **SKILLED),
    plan("club_treasurer", "invoice_redirection", (2, 4), (1, 2), NO_ONE, (0, 3), "",
         [trial(3, 8, 1), pay(0.2, 0.45, 3, 1400, 2500), on(0.6, 0.95, 2, 200, 300)],
         "Bills of a bus company were sent with new bank details; an old customer relation hid it.",
         "Three bills of a known supplier, one after the other, all to the new account {pace}.",
         "{who} settle group bills for a trip; the coach company has seen none of it."),
    plan("school_fees_abroad", "invoice_redirection", (1, 2), (1, 3), (0, 1), (0, 2), "",
         [trial(2, 5, 1), pay(0.5, 0.9, 1, 700, 5), pay(0.3, 0.7, 1, 9000, 5, chance=0.6)],
         "Term fees went to a collecting agency that only exists on a forged reminder.",
         "A reminder of tuition asked for payment to a new account {where}.",
         "The school confirms the student and denies the account."),
    plan("landlord_changed_bank", "invoice_redirection", (3, 6), (1, 2), NO_ONE, (1, 3), "",
         [pay(0.2, 0.5, 3, 0, 1500), pay(0.2, 0.5, 3, 12_000, 1500), cash(0.25, 0.5, 6, 300, 2500),
          cash(0.5, 0.9, 1, 400, 5, at="branch", only="mh")],
         "All tenants of a house were told that the rent now goes to another account.",
         "Two months of rents met at one mule of this bank before the landlord called.",
         "Rent paid on time to the wrong account: tenants among {who} owe it a second time."),
    plan("car_import_balance", "invoice_redirection", (2, 2), (1, 3), (0, 2), (0, 4), "",
         [pay(0.1, 0.2, 1), savings(1, 3, 1, 900, 5), pay(0.8, 0.97, 1, 300, 5), on(0.4, 0.6, 3, 20, 120),
          cash(0.5, 0.9, 3, 60, 200)],
         "A car dealer's order form was altered on its way: deposit and balance reached a mule.",
         "The balance for a car was funded from savings and passed on within the hour {where}.",
         "The dealer holds the car and no money; the mule kept a little of it."),
)

ROMANCE = (
    plan("engineer_on_a_rig", "romance_scam", (2, 2), (1, 2), NO_ONE, (0, 3), "",
         [trial(2, 6, 1), pay(0.2, 0.4, 3, 3000, 8000), pay(0.5, 0.9, 2, 4000, 4000), cash(0.3, 0.6, 3, 300, 800)],
         "An engineer on an oil platform, met online, needs help with customs and then with the flight.",
         "The sums grow with the love letters; a mule draws them out of machines {where}.",
         "{who} send money to a man whom they have never met, the first time very little."),
    plan("widowed_doctor_parcel", "romance_scam", (1, 1), (1, 4), NO_ONE, (0, 2), "",
         [trial(4, 10, 1), pay(0.25, 0.5, 3, 2000, 6000), pay(0.3, 0.7, 3, 6000, 6000, only="mh")],
         "A doctor in a mission abroad has a parcel held at the border, and every release costs more.",
         "Fees for a parcel that never comes were paid to changing accounts {where}.",
         "The beloved promises to pay all of it back {pace}; nothing but new fees appear."),
    plan("gift_codes_first", "romance_scam", (1, 2), (2, 4), NO_ONE, (0, 3), "5818 5816",
         [buy(0.8, 2, 3, 0, 2500, at="ecommerce"), buy(2, 5, 3, 3000, 3000, at="ecommerce"),
          pay(0.3, 0.6, 3, 6000, 5000)],
         "He asked for a gift code for his phone, then for several, and finally for a transfer.",
         "Codes were photographed and sent on; transfers follow when trust is complete {where}.",
         "From game credits to a month's income: {who} in love pay in rising steps."),
    plan("visit_that_never_happens", "romance_scam", (2, 3), (1, 2), NO_ONE, (1, 4), "",
         [pay(0.1, 0.25, 1), pay(0.2, 0.4, 1, 5000, 5), pay(0.3, 0.6, 1, 5000, 5), pay(0.5, 0.9, 1, 4000, 5),
          cash(0.3, 0.5, 4, 200, 1200)],
         "Visa, ticket, hospital, bail: each payment is to make the visit possible at last.",
         "Four reasons, four transfers, each about twice the one before {pace}.",
         "One mule in this bank receives all and empties the account at machines."),
    plan("inheritance_for_two", "romance_scam", (2, 2), (2, 4), (1, 3), (1, 5), "",
         [trial(2, 5, 2, 0, 1500), savings(1, 4, 2, 4000, 2500), pay(0.6, 0.95, 2, 1200, 1500),
          on(0.4, 0.7, 3, 60, 600)],
         "A joint future needs an advance on lawyers, for which the savings were moved in.",
         "Savings arrive from another bank and leave for the beloved's lawyer {where}.",
         "The offender knows by name when a deposit becomes free; the mule passes the sum on.", **SKILLED),
    plan("crypto_sweetheart", "romance_scam", (1, 1), (2, 5), (0, 2), (0, 4), "",
         [trial(5, 12, 2, 0, 2500), pay(0.3, 0.6, 2, 4000, 2500), savings(1, 3, 1, 3000, 5),
          pay(0.5, 0.9, 3, 900, 4000)],
         "The new friend trades and shares his tip; love and gains grow on the same screen.",
         "Weeks of chatting turn into deposits on a platform that only she knows {where}.",
         "{who} lose heart and savings at once: first small deposits, then everything.", **CAREFUL),
    plan("soldiers_leave_fee", "romance_scam", (3, 6), (1, 3), (0, 2), (1, 4), "",
         [trial(3, 8, 3, 0, 2000), pay(0.3, 0.6, 4, 3000, 5000), cash(0.2, 0.45, 5, 200, 2000),
          on(0.5, 0.9, 2, 300, 400)],
         "Several customers paid for the leave of the same soldier, whose picture is stolen.",
         "Different victims, one love story and one mule's account {where}.",
         "Small proofs of love come first from each of the {who}, sums that hurt come after."),
    plan("sick_mother_weekly", "romance_scam", (1, 1), (1, 2), NO_ONE, (0, 1), "",
         [trial(3, 8, 3, 0, 4000), trial(6, 15, 3, 3000, 4000), pay(0.15, 0.35, 4, 3000, 6000)],
         "Medicine for a sick mother is paid again and again in sums that nobody questions.",
         "No payment stands out, but there is a new one with every week {where}.",
         "The customer calls it help for a friend; the friend has no face."),
)

INVESTMENT = (
    plan("two_fifty_starter", "investment_scam", (1, 2), (2, 5), (0, 2), (0, 4), "",
         [trial(8, 16, 1), pay(0.3, 0.6, 2, 4000, 2500), savings(1, 4, 1, 2500, 5), pay(0.6, 0.95, 3, 900, 4000)],
         "An advert with a famous face, a small opening deposit, a personal adviser, and then savings.",
         "The screen shows gains {pace}; every payout needs another deposit first.",
         "After a modest start {who} send what they had put aside for old age {where}."),
    plan("card_start_wire_after", "investment_scam", (1, 3), (2, 4), (0, 3), (1, 4), "6211 6051",
         [buy(6, 14, 2, 0, 500), pay(0.3, 0.6, 2, 3000, 2500, at="net"), pay(0.5, 0.9, 2, 4000, 2500, at="net")],
         "The first stake was paid by card to a broker without licence, the rest by transfer.",
         "When the card's limit was reached, the adviser dictated account numbers {where}.",
         "A platform took card payments first and then sums that only a transfer can carry."),
    plan("copy_trading_group", "investment_scam", (4, 8), (2, 4), (1, 4), (2, 6), "",
         [trial(4, 10, 4, 0, 2500), pay(0.3, 0.7, 5, 4000, 4000), on(0.4, 0.7, 4, 300, 900)],
         "A chat group cheers its trader; members pay in to an account of this bank.",
         "All members of one chat pay the same mule, first little, then much {where}.",
         "{who} follow signals in a group in which most voices are the offender's."),
    plan("term_deposit_bait", "investment_scam", (2, 3), (1, 3), (0, 2), (1, 4), "",
         [savings(2, 5, 1), pay(0.7, 0.97, 1, 700, 5), on(0.3, 0.49, 4, 60, 300), cash(0.2, 0.5, 2, 60, 200)],
         "A comparison page offered a fixed deposit at a dream rate; the papers looked perfect.",
         "The whole savings became a deposit at a bank that does not know of it {where}.",
         "One transfer, one mule, four onward payments: the rate was a bait."),
    plan("fee_to_release_gains", "investment_scam", (1, 2), (2, 6), (0, 2), (0, 3), "",
         [pay(0.2, 0.5, 3, 0, 6000), pay(0.1, 0.3, 3, 8000, 3000),
          pay(0.1, 0.3, 2, 3000, 1500, only="mh")],
         "To get the gains out, tax, insurance and a fee had to be paid in advance.",
         "After the deposits come the release fees, to other accounts than before {where}.",
         "Whoever wants his money back pays again: fees follow the stakes {pace}."),
    plan("app_store_stakes", "investment_scam", (2, 4), (1, 3), (0, 3), (1, 4), "6051 5817",
         [buy(2, 6, 4, 0, 2500), buy(5, 12, 3, 3000, 2500), buy(10, 25, 2, 3000, 1500)],
         "A trading app outside the stores charges stake after stake to the card.",
         "Card payments to an exchange nobody knows grow from week to week {where}.",
         "{who} see their balance rise in an app; only the card statement is real."),
    plan("recovery_room", "investment_scam", (1, 2), (1, 4), (0, 2), (0, 4), "",
         [trial(5, 12, 1), pay(0.2, 0.5, 2, 4000, 2000), pay(0.3, 0.6, 2, 9000, 2000)],
         "An alleged lawyer gets lost stakes back, against an advance; he knows every detail.",
         "Those who lost once are called again and pay for the recovery {where}.",
         "The second loss of the same victims: costs of a procedure that does not exist.", **CAREFUL),
    plan("mule_funnel_daily", "investment_scam", (5, 9), (2, 5), (1, 5), (2, 8), "6211",
         [buy(4, 9, 4, 0, 900, at="ecommerce"), pay(0.3, 0.6, 5, 1500, 1500, at="@"), on(0.5, 0.8, 2, 30, 90),
          pay(0.3, 0.7, 4, 2000, 1500), on(0.5, 0.9, 3, 30, 90), cash(0.3, 0.6, 3, 60, 200)],
         "A call centre collects in rounds and empties its two accounts after every round.",
         "Cards open the relation, transfers fill the funnel, nothing rests there overnight {where}.",
         "Victims among {who} pay in turn; the accounts of the mules are swept each time.", **SKILLED),
)

BANK = (
    plan("safe_account_call", "bank_impersonation", (2, 2), (1, 2), NO_ONE, (0, 3), "",
         [pay(0.3, 0.6, 1), pay(0.6, 0.95, 2, 12, 25), cash(0.2, 0.4, 4, 40, 150), on(0.5, 0.95, 1, 30, 5)],
         "The bank's own number on the display, a calm voice: the money must go to a safe account.",
         "Two or three transfers during one call, then cash machines in another quarter {where}.",
         "{who} save their money from thieves by sending it to them."),
    plan("cancel_the_payment", "bank_impersonation", (1, 3), (1, 3), (0, 2), (0, 3), "",
         [trial(10, 20, 1), pay(0.3, 0.7, 2, 20, 60), pay(0.4, 0.9, 1, 60, 5, only="mh")],
         "To cancel a payment that never existed, the customer was to approve several real ones.",
         "The caller reads codes aloud and calls every approval a cancellation {where}.",
         "A first approval as an exercise, then the ones that count {pace}."),
    plan("remote_help_desk", "bank_impersonation", (2, 4), (1, 3), (1, 3), (1, 4), "",
         [trial(0.5, 2, 1), drain(0.3, 0.6, 2, 30, 60), drain(0.4, 0.8, 2, 60, 60), pay(0.2, 0.5, 1, 60, 5, chance=0.6),
          on(0.5, 0.9, 3, 30, 200)],
         "With remote control installed, the false technician made transfers on the victim's screen.",
         "A test of a unit by the customer, then others' hands on his keyboard {where}.",
         "The victim watched his own mouse move; a mule of this bank sent the money on."),
    plan("code_read_out_wallet", "bank_impersonation", (2, 4), (2, 4), (1, 4), (1, 5), "5732 5311 5944",
         [trial(1, 4, 1), shop(3, 9, 3, 30, 60, at="ecommerce"), shop(5, 15, 3, 60, 120, at="mobile"),
          pay(0.3, 0.6, 1, 120, 5, chance=0.5)],
         "An alleged fraud desk asked for the code that put the card on a stranger's phone.",
         "The code was for a wallet: electronics and jewellery were paid with it {where}.",
         "{who} read out one code and found a stranger's shopping on the statement."),
    plan("courier_collects_later", "bank_impersonation", (3, 5), (1, 2), (0, 1), (1, 3), "",
         [pay(0.4, 0.8, 2, 0, 120), cash(0.25, 0.45, 4, 30, 120), pay(0.4, 0.8, 2, 1500, 200),
          cash(0.3, 0.6, 4, 30, 120), cash(0.5, 0.9, 1, 600, 5, at="branch", only="lm")],
         "The security department called on two days; each time a mule stood at the machine.",
         "Payments to a safe account were cash within the hour {where}.",
         "The voice knew balance and address; the account it named belongs to a student."),
    plan("savings_under_attack", "bank_impersonation", (2, 3), (2, 4), (1, 3), (1, 5), "",
         [savings(1, 4, 2, 0, 20), pay(0.5, 0.97, 2, 15, 30), on(0.45, 0.7, 3, 10, 40), cash(0.3, 0.7, 2, 60, 60)],
         "Even the savings at another bank were said to be in danger and moved in before they left.",
         "Money comes in from the victim's other bank and leaves at once {where}.",
         "A patient caller emptied two banks in one conversation with one of our {who}.", **SKILLED),
    plan("limit_raised_twice", "bank_impersonation", (1, 2), (2, 5), (0, 3), (1, 4), "",
         [pay(0.1, 0.25, 1), pay(0.2, 0.4, 2, 60, 60), pay(0.3, 0.6, 2, 600, 60), pay(0.4, 0.9, 2, 700, 60)],
         "The transfers became larger each time the limit had been raised on the caller's advice.",
         "Several accounts elsewhere take the parts of one rescue {where}.",
         "Step by step, {pace}, the daily limit was raised and used to the full."),
    plan("spoofed_thread_wave", "bank_impersonation", (8, 15), (1, 3), (1, 5), (2, 8), "",
         [trial(1, 5, 5, 0, 200), pay(0.4, 0.8, 9, 120, 500), on(0.5, 0.8, 3, 60, 200), cash(0.2, 0.5, 4, 60, 200)],
         "A message in the bank's own thread announced a call; many customers were called that day.",
         "One script, many victims, two mules: the payments arrive in a row {where}.",
         "{who} got the same message and the same call, and paid the same two accounts."),
)

POLICE = (
    plan("stolen_identity_hearing", "police_impersonation", (2, 2), (1, 2), NO_ONE, (0, 3), "",
         [trial(4, 10, 1), pay(0.5, 0.9, 2, 120, 300), cash(0.3, 0.6, 3, 60, 300)],
         "An officer says the victim's name is on a criminal's lease; a deposit clears it.",
         "The alleged hearing lasts all day on the phone, and the money is cash by night {where}.",
         "{who} pay a bail for themselves after a call with sirens in the background."),
    plan("customs_arrest_warrant", "police_impersonation", (1, 2), (1, 3), (0, 1), (0, 2), "",
         [pay(0.2, 0.5, 1), pay(0.3, 0.7, 1, 200, 5), pay(0.5, 0.9, 1, 600, 5, chance=0.7)],
         "A parcel with drugs in the victim's name, a warrant, and a fee that makes it vanish.",
         "After the first payment the file gets thicker and the fee higher {where}.",
         "The recorded voice of an authority, a key to press, an officer who takes transfers {pace}."),
    plan("mark_the_banknotes", "police_impersonation", (3, 5), (1, 2), (0, 2), (1, 4), "",
         [pay(0.4, 0.8, 3, 0, 600), cash(0.2, 0.4, 5, 60, 300), cash(0.5, 0.9, 2, 300, 60, at="branch", chance=0.7)],
         "Burglars were said to work inside the bank, so the police must keep the money safe.",
         "Older victims help an investigation; the evidence is withdrawn at machines {where}.",
         "{who} were told to tell nobody at the branch, and did not."),
    plan("gift_codes_for_the_fine", "police_impersonation", (1, 3), (2, 4), NO_ONE, (0, 3), "5818 5816",
         [buy(2, 5, 3, 0, 120, at="ecommerce"), buy(4, 8, 2, 60, 60, at="ecommerce"), pay(0.2, 0.5, 1, 200, 5)],
         "The fine was to be paid with gift codes, and the rest of it by transfer.",
         "An officer stays on the line while code after code is bought {where}.",
         "Credits for a fine: no authority takes them, yet frightened {who} do not know it."),
    plan("court_account_check", "police_impersonation", (2, 3), (1, 4), (1, 3), (1, 4), "",
         [trial(1, 3, 1), drain(0.3, 0.7, 2, 60, 100), pay(0.3, 0.6, 1, 100, 5), on(0.4, 0.8, 3, 40, 200)],
         "To prove that the money is clean the victim shared his screen with a public prosecutor.",
         "Part of the money was sent by the victim, part by whoever looked over his shoulder {where}.",
         "An account check by video ended with transfers to a mule of this bank.", **SKILLED),
    plan("victim_of_a_gang_trial", "police_impersonation", (5, 9), (1, 3), (1, 3), (1, 5), "",
         [trial(2, 8, 3, 0, 300), pay(0.4, 0.8, 5, 200, 600), on(0.3, 0.6, 3, 60, 300), cash(0.2, 0.4, 4, 60, 300)],
         "A call centre in another country plays police, court and bank with different voices.",
         "Many frightened callers, one account; half leaves as cash, half {where}.",
         "Victims among {who} kept a case number that leads nowhere."),
    plan("tax_debt_today", "police_impersonation", (1, 2), (1, 2), NO_ONE, (0, 2), "",
         [pay(0.3, 0.6, 2, 0, 60), pay(0.2, 0.5, 2, 900, 90, only="lm")],
         "Tax debts with interest are due today, or the bailiff comes with an officer.",
         "Payments in parts, because the caller asks what is still on the account {where}.",
         "The account drains towards zero {pace} while the threat goes on."),
    plan("escort_of_savings", "police_impersonation", (2, 2), (1, 3), (0, 2), (1, 4), "",
         [savings(1, 3, 1), trial(3, 8, 1, 30, 5), pay(0.6, 0.95, 1, 120, 5), on(0.5, 0.9, 2, 20, 60),
          cash(0.5, 0.9, 2, 60, 60)],
         "An inspector had the savings moved to the current account and from there into custody.",
         "Funds arrive, a small payment is tried, everything follows {where}.",
         "State custody turned out to be the account of a young mule."),
)

PURCHASE = (
    plan("flat_deposit_no_flat", "purchase_scam", (2, 5), (1, 2), NO_ONE, (0, 3), "",
         [trial(5, 12, 1), pay(0.3, 0.7, 3, 900, 2000), cash(0.25, 0.5, 4, 200, 900)],
         "Deposit and first rent for a flat that its true tenants still live in.",
         "Several flat-hunters paid the same account for one flat {where}.",
         "{who} get a key by post, they are told; the mule gets the money."),
    plan("fake_shop_sale", "purchase_scam", (3, 8), (1, 3), (0, 1), (0, 2), "5732 5651 5661 5712",
         [buy(1.5, 6, 7, 0, 2500)],
         "A shop with the imprint of an honest firm sells brands at half price and sends nothing.",
         "Orders of many customers at a shop that is two weeks old {where}.",
         "The goods are not delivered and the shop is gone when the first of the {who} asks."),
    plan("classified_ad_prepay", "purchase_scam", (2, 4), (1, 2), NO_ONE, (0, 3), "",
         [trial(4, 12, 2, 0, 900), pay(0.1, 0.3, 2, 700, 900), cash(0.5, 0.9, 2, 200, 200)],
         "Used phones and a pram were paid in advance to a seller whose account is young.",
         "Small ads, friendly messages, payment in advance, silence {where}.",
         "Buyers among {who} wait for parcels; the seller's account is emptied after each sale."),
    plan("firewood_in_autumn", "purchase_scam", (3, 7), (1, 2), NO_ONE, (0, 2), "5251 5200",
         [buy(3, 9, 3, 0, 1500, at="ecommerce"), pay(0.2, 0.5, 3, 1500, 2500)],
         "Wood and pellets were ordered online; the till broke down and asked for a transfer instead.",
         "The card was charged, allegedly failed, and the same sum was sent again {where}.",
         "Heating material that never arrives was paid twice by some of the {who}."),
    plan("puppy_transport_costs", "purchase_scam", (1, 2), (1, 3), NO_ONE, (0, 2), "",
         [trial(6, 14, 1), trial(3, 8, 2, 2000, 2000), pay(0.2, 0.5, 2, 2500, 1500)],
         "A puppy needs a cage, a vaccination and an insurance before it can travel.",
         "After the price come costs of transport, each in the name of another firm {where}.",
         "The breeder's pictures are stolen, the costs go on {pace}."),
    plan("tractor_from_abroad", "purchase_scam", (2, 2), (1, 4), (0, 2), (0, 4), "",
         [pay(0.1, 0.25, 1), savings(1, 3, 1, 2000, 5), pay(0.7, 0.97, 1, 600, 5), on(0.4, 0.7, 3, 60, 200)],
         "A machine at a fair price, a trustee who keeps the money until delivery: both invented.",
         "Reservation fee, then the price, both to a trustee who is a mule {where}.",
         "The customer drew on savings for a vehicle that stands nowhere."),
    plan("concert_tickets_resale", "purchase_scam", (5, 12), (1, 3), (0, 2), (0, 3), "7922 5818",
         [trial(2, 7, 5, 0, 400, at="net"), buy(2, 6, 6, 300, 600), trial(3, 8, 4, 500, 400, at="net", chance=0.5)],
         "Sold-out tickets were offered in a group; some paid by transfer, some at a page for fans.",
         "One gig, one seller, a dozen payments, no ticket {where}.",
         "{who} find out at the door that one code was sold to all."),
    plan("marketplace_pay_link", "purchase_scam", (3, 7), (1, 3), (0, 2), (1, 4), "5399 4215",
         [buy(0.5, 1.2, 3, 0, 60), buy(3, 10, 5, 60, 300), buy(2, 6, 3, 600, 300, only="mh")],
         "A link to a false parcel service was to insure the purchase and charged the card anew.",
         "First the fee of the parcel service, then the price, then the price again {where}.",
         "The page looks like the marketplace's; the {who} gave it their cards {pace}."),
    plan("holiday_house_twins", "purchase_scam", (4, 8), (1, 3), (0, 2), (1, 3), "4722 7011",
         [buy(4, 9, 2, 0, 900, at="ecommerce"), pay(0.3, 0.6, 4, 1500, 2500, at="@"), on(0.5, 0.9, 2, 300, 300),
          cash(0.3, 0.7, 3, 200, 300)],
         "Holiday houses of a copied agency were booked by card and settled by transfer.",
         "Families stand before doors that are let to nobody; the rest went {where}.",
         "The agency's site is a twin with other account numbers, paid by {who}."),
)

SMISHING = (
    plan("parcel_fee_card", "smishing_credentials", (4, 10), (1, 3), (1, 3), (1, 4), "5732 5399 5816",
         [shop(0.1, 0.3, 4, 0, 60), shop(2, 6, 5, 60, 200), shop(4, 12, 2, 100, 90, only="mh")],
         "A text about customs for a parcel took the card's details; shops are paid with them.",
         "After a tiny fee for a parcel the cards of {who} buy goods that are easily sold on.",
         "First the small charge, then electronics in the victims' names {where}."),
    plan("toll_text_wallet", "smishing_credentials", (3, 8), (2, 4), (2, 4), (1, 5), "5411 5541 5311",
         [shop(0.2, 0.5, 2, 0, 20, at="mobile"), shop(1, 3, 5, 40, 200, at="mobile"), shop(2, 7, 3, 60, 120, at="@")],
         "An unpaid toll, a link, a code: the cards landed in wallets of two phones.",
         "Phones shop with cards of people who only wanted to pay a toll {where}.",
         "Wallets on strange phones spend what {who} typed into a form {pace}."),
    plan("bank_text_app_transfer", "smishing_credentials", (3, 6), (1, 3), (1, 3), (1, 4), "",
         [probe(0.05, 0.4, 2, 0, 10, at="mobile"), drain(0.3, 0.7, 4, 20, 90, at="mobile"), cash(0.2, 0.45, 4, 30, 120),
          on(0.4, 0.9, 1, 30, 5)],
         "A text in the bank's name asked to renew the app; the app was then used by others.",
         "A unit to see whether it works, then the balance, then cash {where}.",
         "The registration of a new phone was the theft; {who} approved it themselves."),
    plan("health_card_renewal", "smishing_credentials", (5, 12), (2, 4), (1, 5), (2, 7), "5912 5977 5732",
         [shop(0.3, 1, 5, 0, 120), shop(1, 4, 5, 300, 300), shop(2, 8, 4, 600, 300)],
         "A new health card needs a postage fee; the page behind the text was a copy.",
         "Card details of {who} were sold and used at three kinds of shops {where}.",
         "Charges grow from drugstore sizes to those of a television {pace}."),
    plan("text_then_both", "smishing_credentials", (2, 5), (1, 4), (2, 5), (2, 6), "5045 5944",
         [shop(0.5, 1.5, 2, 0, 30), drain(0.3, 0.6, 2, 60, 60, at="mobile"), shop(4, 10, 3, 60, 120),
          drain(0.4, 0.9, 2, 120, 60, at="online_banking", chance=0.7), on(0.5, 0.9, 2, 30, 90)],
         "Card and account were both given away on one page, and both were used at once.",
         "Purchases and transfers alternate, as if two people worked side by side {where}.",
         "The mule of this bank takes the transfers, a locker takes the goods.", **SKILLED),
    plan("gift_code_flood", "smishing_credentials", (6, 14), (1, 2), (1, 4), (2, 8), "5818 5816",
         [shop(0.5, 1.5, 8, 0, 60), shop(1, 3, 8, 30, 90), shop(2, 4, 8, 60, 120), shop(1, 3, 8, 60, 120)],
         "Codes for games and phones were bought in a flood with a day's catch of cards.",
         "Digital codes leave no address behind; dozens were bought {where}.",
         "The gang's harvest of one evening: cards of {who}, spent on credits {pace}."),
    plan("refund_from_the_state", "smishing_credentials", (3, 7), (1, 3), (1, 3), (1, 4), "5311 5651",
         [probe(0.1, 0.6, 2, 0, 20, at="mobile"), shop(2, 5, 4, 60, 200), drain(0.2, 0.5, 3, 200, 200, at="mobile")],
         "A refund of energy costs was promised by text; instead of money coming, it went.",
         "Who asked for the refund paid strangers' clothes and transfers {where}.",
         "{who} chose their bank on a false form, which sent them to a copy of ours."),
    plan("quiet_single_orders", "smishing_credentials", (4, 9), (2, 5), (2, 6), (3, 9), "5499 5812 5942 5651",
         [shop(0.6, 1.5, 4, 0, 900), shop(0.8, 2, 4, 900, 900), shop(1, 2.5, 3, 900, 900)],
         "The stolen cards are used once or twice each, in amounts like the holders' own.",
         "Nothing large, nothing twice: orders for dinner and clothes {where}.",
         "Few notice it {pace}, for the orders look like those of any of the {who}.",
         tempos=("steady",), sophistications=("high",)),
)

LOGIN = (
    plan("search_advert_copy", "fake_login_page", (2, 4), (1, 3), (1, 2), (1, 3), "",
         [probe(0.05, 0.3, 1), drain(0.4, 0.8, 3, 20, 60), cash(0.2, 0.45, 4, 40, 200)],
         "The first hit of a search was a copy of our page; the codes typed there were used at once.",
         "A unit, then most of the balance to a mule who already waits at a machine {where}.",
         "{who} found their bank by searching, and somebody else found theirs."),
    plan("letter_with_code", "fake_login_page", (3, 6), (2, 4), (1, 3), (2, 5), "",
         [drain(0.2, 0.5, 4, 0, 900), drain(0.3, 0.7, 3, 1200, 900), drain(0.2, 0.5, 2, 1200, 300, only="mh")],
         "A letter on the bank's paper led by a square code to a copied page.",
         "Transfers to several accounts elsewhere, a few from each victim {where}.",
         "No try, no haste: the log-ins from the letters are used one after another {pace}."),
    plan("standing_order_trick", "fake_login_page", (1, 3), (1, 3), (1, 3), (1, 4), "",
         [probe(0.3, 1, 2, 0, 900), probe(0.5, 2, 2, 1400, 900), drain(0.1, 0.3, 4, 2500, 5000)],
         "Small transfers made the new payee look known before the larger ones began.",
         "The payee is warmed up {pace}, so that no rule for new payees applies.",
         "Somebody else pays bills from the accounts of {who}, at first small ones.", **CAREFUL),
    plan("session_relay", "fake_login_page", (2, 5), (1, 4), (2, 5), (2, 8), "",
         [drain(0.5, 0.95, 3, 0, 30), on(0.4, 0.6, 4, 10, 30), cash(0.3, 0.6, 3, 30, 60)],
         "A relay passed every code on within seconds; the money had left before the page closed.",
         "Victims log in, see an error, and are robbed through the same session {where}.",
         "Mules were ready: the sum is split and gone {pace}.", **SKILLED),
    plan("tax_portal_login", "fake_login_page", (4, 8), (2, 5), (1, 4), (2, 6), "5732 5045",
         [probe(0.05, 0.5, 3, 0, 60), drain(0.3, 0.6, 4, 120, 400), shop(3, 9, 4, 200, 400, at="ecommerce")],
         "A tax refund needed a log-in at the bank; card details were asked for on the next page.",
         "Accounts and cards of the same people are used in parallel {where}.",
         "{who} confirmed a refund and bought a stranger's computer."),
    plan("salary_day_raid", "fake_login_page", (3, 7), (1, 3), (1, 4), (1, 6), "",
         [probe(0.02, 0.1, 3, 0, 60), drain(0.6, 0.95, 4, 4000, 200), on(0.5, 0.9, 2, 60, 90),
          cash(0.3, 0.7, 3, 60, 200)],
         "The stolen log-ins were tried early and then left alone until the salaries had come.",
         "Days lie between a tiny transfer and the raid {where}.",
         "The thieves knew payday: the accounts of {who} were full when they returned."),
    plan("own_bank_mule_split", "fake_login_page", (6, 12), (1, 3), (2, 5), (2, 8), "",
         [drain(0.3, 0.6, 5, 0, 200), cash(0.3, 0.5, 3, 60, 120), drain(0.3, 0.6, 5, 900, 200),
          cash(0.2, 0.4, 4, 60, 120), on(0.5, 0.95, 2, 200, 60)],
         "Two mules of this bank took the transfers of many victims in two waves.",
         "Inside the bank money moves at once, and that is why mules here are wanted.",
         "Waves of transfers from {who} end at cash machines and {where}."),
    plan("merchant_portal_copy", "fake_login_page", (1, 2), (2, 4), (1, 3), (1, 4), "",
         [probe(0.5, 2, 1), drain(0.15, 0.3, 3, 300, 300), drain(0.3, 0.6, 2, 900, 300), drain(0.4, 0.9, 1, 900, 5)],
         "A copied portal of a marketplace asked to link the bank account and kept the log-in.",
         "The transfers rise as long as nobody objects {where}.",
         "One of the {who} wanted to sell a bicycle and lost the balance {pace}."),
)

FAMILY = (
    plan("new_number_mum", "family_emergency", (2, 2), (1, 2), NO_ONE, (0, 3), "",
         [pay(0.3, 0.6, 1), pay(0.3, 0.7, 1, 120, 5), cash(0.25, 0.5, 4, 60, 200)],
         "A child with a new number cannot get into its banking and has a bill due today.",
         "Two transfers in one chat, then four visits to machines {where}.",
         "{who} learn in the evening that the child's old number still works."),
    plan("accident_bail_call", "family_emergency", (2, 3), (1, 2), (0, 1), (0, 3), "",
         [savings(1, 3, 1), pay(0.6, 0.95, 1, 60, 5), cash(0.3, 0.6, 2, 60, 60, at="branch"),
          cash(0.2, 0.5, 3, 60, 200)],
         "A sobbing voice, an accident with a death, a bail: the savings were sent at once.",
         "Savings come in, leave, and are asked for at a counter {where}.",
         "The daughter's voice was not hers; a mule fetched the bail."),
    plan("small_bill_first", "family_emergency", (1, 3), (1, 3), NO_ONE, (0, 2), "",
         [trial(3, 8, 1), trial(6, 16, 2, 90, 200), pay(0.3, 0.7, 1, 300, 5)],
         "A phone bill first, a rent next, then a loan: the chat goes on as long as it pays.",
         "Every payment is followed by thanks and a new bill {where}.",
         "The child only writes and never calls; {who} help three or four times."),
    plan("grandchild_flat", "family_emergency", (1, 2), (1, 2), (0, 1), (0, 2), "",
         [pay(0.2, 0.5, 1), pay(0.5, 0.9, 1, 1500, 5), savings(1, 2, 1, 900, 5), pay(0.5, 0.95, 2, 300, 120)],
         "A grandchild has found a flat and must pay the notary before others do.",
         "When the account was empty, savings were called in for a last payment {where}.",
         "The bargain of a lifetime is paid {pace} by the grandparents' account."),
    plan("many_mums_one_mule", "family_emergency", (6, 12), (1, 3), (0, 3), (1, 5), "",
         [pay(0.2, 0.6, 7, 0, 900), cash(0.2, 0.4, 5, 100, 400), on(0.4, 0.9, 2, 200, 200)],
         "The same text went to thousands; those who answered pay the same account.",
         "Parents who do not know each other pay one young customer {where}.",
         "Seven answers, seven payments and a mule at machines: {who} are hit alike."),
    plan("codes_for_the_phone", "family_emergency", (1, 2), (1, 3), NO_ONE, (0, 2), "5818 4814",
         [buy(0.8, 2, 2, 0, 60, at="ecommerce"), buy(2, 4, 2, 120, 120, at="ecommerce"), pay(0.2, 0.5, 1, 400, 5)],
         "The broken phone needs credit, so codes are bought first and a transfer follows.",
         "Codes by chat, then the rent for a flat-share {where}.",
         "Small helps become a large one {pace}; the child knows nothing of it."),
    plan("stranded_on_a_journey", "family_emergency", (1, 2), (1, 3), (0, 1), (0, 3), "",
         [trial(5, 12, 1), pay(0.2, 0.5, 2, 400, 600), pay(0.3, 0.6, 1, 1200, 5, chance=0.6)],
         "Robbed on a journey, no papers, no card: a cousin asks by mail for help.",
         "The help goes to a money agent's account {where}.",
         "Friends and {who} in one address book all got the same cry for help."),
    plan("mule_daisy_chain", "family_emergency", (3, 6), (2, 4), (1, 3), (1, 5), "",
         [trial(3, 9, 2, 0, 60), pay(0.4, 0.8, 3, 60, 200), on(0.5, 0.8, 3, 10, 40), pay(0.3, 0.7, 2, 600, 120),
          on(0.6, 0.95, 2, 10, 40)],
         "The account is swept after each parent's payment, so that no recall finds anything.",
         "Payments rest for minutes, never for hours, before they leave {where}.",
         "A trained crew: small bill, large bill, sweep, and the next of the {who}.", **SKILLED),
)
# fmt: on

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "who": WHO,
    "where": {
        "domestic": ("within the country", "without leaving the country", "at accounts of this country"),
        "cross_border": ("across the border", "to a neighbouring country", "abroad"),
        "remote": ("by way of accounts far away", "over proxies on other continents", "overseas"),
    },
    "pace": {
        "burst": ("within hours", "in the course of one call", "before anybody could think"),
        "steady": ("over some days", "day after day", "within a week or so"),
        "slow": ("over weeks", "little by little", "with patience"),
    },
}

BOOK = Book(
    scenario="phishing",
    archetypes=INVOICE + ROMANCE + INVESTMENT + BANK + POLICE + PURCHASE + SMISHING + LOGIN + FAMILY,
    limits={
        "savings_in": (0.2, 5.0),
        "victim_try": (0.2, 20.0),
        "victim_payment": (0.02, 1.0),
        "victim_purchase": (0.5, 40.0),
        "credential_try": (0.02, 5.0),
        "credential_transfer": (0.02, 1.0),
        "credential_purchase": (0.1, 40.0),
        "mule_transfer": (0.05, 1.0),
        "mule_withdrawal": (0.05, 1.0),
    },
    durations={"burst": (20, 1440), "steady": (1440, 10_080), "slow": (10_080, 36_000)},
    scale={"student": 0.85, "family": 1.0, "professional": 1.1, "senior": 1.15, "young_account": 0.9},
    scaled=("victim_payment", "credential_transfer", "victim_purchase", "credential_purchase"),
    phrases=PHRASES,
    extras=(
        Extra(("victim_try",), trial(1, 4, 1, 200, 5, at="net")),
        Extra(("victim_try", "victim_payment"), pay(0.2, 0.5, 1, 400, 5, at="net")),
        Extra(("victim_payment",), pay(0.3, 0.7, 2, 600, 300, at="net")),
        Extra(("credential_transfer", "credential_try"), drain(0.2, 0.6, 1, 120, 5, at="net")),
        Extra(("victim_purchase",), buy(1, 4, 2, 200, 60)),
        Extra(("credential_purchase",), shop(1, 4, 2, 100, 60)),
        Extra(("mule_withdrawal",), cash(0.2, 0.5, 2, 200, 100)),
        Extra(("mule_transfer",), on(0.3, 0.8, 1, 100, 10)),
    ),
)
