"""An agent with three tools. A real one would let a model choose the calls; here they are written down."""
import sys

from countersign_client import Countersign, Refused, Unavailable

client = Countersign(agent="py-bot", socket=sys.argv[1], session="s1", wait_seconds=60)


@client.guarded("lookup")
def lookup(order):
    return {"order": order, "amount": 900}


@client.guarded("refund")
def refund(amount, to):
    with open("bank.txt", "a", encoding="utf-8") as bank:
        bank.write(f"{amount} to {to}\n")
    return f"refunded {amount} to {to}"


@client.guarded("drop_table")
def drop_table(name):
    raise SystemExit("this must never run")


def attempt(call, *args):
    try:
        print("result:", call(*args), flush=True)
    except (Refused, Unavailable) as refusal:
        print(type(refusal).__name__.lower() + ":", refusal, flush=True)


attempt(lookup, 1042)
attempt(refund, 120, "Zoë")
attempt(drop_table, "orders")
attempt(refund, 900, "Ana")
# The framework comes back with the same call: it ran before.
attempt(lambda: refund.guarded_call("call_7", 50, "Bob"))
attempt(lambda: refund.guarded_call("call_7", 50, "Bob"))
# What JSON cannot hold is decided by nobody.
attempt(refund, float("nan"), "Eve")
attempt(Countersign(agent="other-bot", socket=sys.argv[1]).guarded("refund")(lambda amount: "ran"), 1)
attempt(Countersign(agent="py-bot", socket=sys.argv[1] + ".gone").guarded("refund")(lambda amount: "ran"), 1)
