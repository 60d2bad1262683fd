#!/usr/bin/env python3
"""Checks an export or a receipt of a Countersign ledger, without Countersign.

    verify.py FILE VERIFIER-LINE

Written from docs/formats alone: the standard library, and python3-cryptography for Ed25519. The verifier line of the
ledger (`name+keyid+base64`) must come from somewhere else than the file.

Exit 0: valid. 1: invalid. 2: wrong usage. 3: an export without entries. 4: cannot read.

Not checked here: approvals, budgets, policies, the shape of each kind beyond what is used, and whether entries were cut off
at the end together with the checkpoint.
"""
import base64
import hashlib
import hmac
import json
import re
import sys
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_ENTRY_BYTES = 1_048_576
MAX_LINE_BYTES = 51_384_320
MAX_RECEIPT_CHARS = 16_777_216
MAX_DEPTH = 128
MAX_PROOF_HASHES = 54
LINE_START = re.compile(r'\{"index":(0|[1-9][0-9]{0,15}),"leaf":"([0-9a-f]{64})","entry":(?=\{)')
HEX_32, HEX_64 = re.compile(r"[0-9a-f]{32}\Z"), re.compile(r"[0-9a-f]{64}\Z")


class Invalid(Exception):
    """What is wrong, in words."""


def demand(condition, what):
    if not condition:
        raise Invalid(what)


def is_count(value, wanted=None):
    """A whole number from 0 up, or the one that is wanted. `true` is none, though Python takes it for 1."""
    return type(value) is float and value >= 0 and value.is_integer() and wanted in (None, value)


# --- RFC 8785: the one text of a JSON value --------------------------------------------------------------------------


def members(pairs):
    found = dict(pairs)
    demand(len(found) == len(pairs), "a name stands twice in an object")
    return found


def no_constant(name):
    raise Invalid(f"{name} is no JSON")


# Every number is a double, as in JavaScript: one that a double cannot hold is written otherwise, so it is not canonical.
DECODER = json.JSONDecoder(object_pairs_hook=members, parse_int=float, parse_float=float, parse_constant=no_constant)


def number(value):
    """As ECMAScript writes it (Number::toString): shortest digits, exponents from 1e21 up and below 1e-6."""
    demand(value - value == 0, "a number is out of range")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if len(text) <= point <= 21:
        text = text.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        text = f"{text[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"-{text}" if sign else text


def canonical(value, depth=0):
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return number(float(value))
    demand(depth < MAX_DEPTH, "nested too deep")
    if isinstance(value, list):
        return f"[{','.join(canonical(item, depth + 1) for item in value)}]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return f"{{{','.join(f'{canonical(name)}:{canonical(value[name], depth + 1)}' for name in names)}}}"


def take_canonical(text, start=0):
    """The JSON value that begins at `start`, which must be canonical there, and where it ends."""
    try:
        value, end = DECODER.raw_decode(text, start)
        demand(canonical(value) == text[start:end], "JSON, but not in canonical form")
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not canonical JSON ({type(error).__name__})") from None
    return value, end


def parse_canonical(text):
    value, end = take_canonical(text)
    demand(end == len(text), "something follows the JSON")
    return value


# --- Hashes and trees ------------------------------------------------------------------------------------------------


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha256(b"\x01" + left + right)


class Tree:
    """RFC 6962: roots of the perfect subtrees so far, largest first."""

    def __init__(self):
        self.size, self.parts = 0, []

    def push(self, leaf):
        self.size += 1
        width = self.size
        while width % 2 == 0:
            leaf, width = node(self.parts.pop(), leaf), width // 2
        self.parts.append(leaf)

    def root(self):
        if not self.parts:
            return sha256(b"")
        root = self.parts[-1]
        for part in reversed(self.parts[:-1]):
            root = node(part, root)
        return root


def is_included(leaf, index, size, path, root):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    place, last = index, size - 1
    for step in path:
        if last == 0:
            return False
        if place % 2 == 1 or place == last:
            leaf = node(step, leaf)
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            leaf = node(leaf, step)
        place, last = place // 2, last // 2
    return last == 0 and leaf == root


# --- Signed checkpoints ----------------------------------------------------------------------------------------------


def unbase64(text):
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Invalid("not base64") from None
    demand(base64.b64encode(data).decode() == text, "not strict base64")
    return data


class Key:
    def __init__(self, vkey):
        parts = vkey.strip().split("+", 2)
        demand(len(parts) == 3 and parts[0] != "", "the verifier line is not name+keyid+base64")
        self.name, key = parts[0], unbase64(parts[2])
        demand(len(key) == 33 and key[0] == 1, "the verifier line is not of an Ed25519 key")
        self.id = sha256(self.name.encode() + b"\n" + key)[:4]
        demand(self.id.hex() == parts[1], "the verifier line has another key id than its key")
        self.public = Ed25519PublicKey.from_public_bytes(key[1:])


def open_checkpoint(note, key):
    """Origin, size and root, once the key signed them. Lines by other keys prove nothing and are passed over."""
    text, separator, signatures = note.rpartition("\n\n")
    demand(separator != "" and signatures.endswith("\n"), "the checkpoint is not a signed note")
    text += "\n"
    signed = False
    for line in signatures[:-1].split("\n"):
        dash, name, signature = (line.split(" ") + ["", ""])[:3]
        demand(dash == "\u2014" and line == f"{dash} {name} {signature}", "a signature line is malformed")
        data = unbase64(signature)
        if name != key.name or data[:4] != key.id:
            continue
        try:
            key.public.verify(data[4:], text.encode())
        except InvalidSignature:
            raise Invalid("the signature of the checkpoint does not verify") from None
        signed = True
    demand(signed, "the checkpoint is not signed by this key")
    lines = text.split("\n")
    demand(len(lines) == 4 and lines[0] != "" and lines[3] == "", "the checkpoint has not three lines")
    demand(re.match(r"(0|[1-9][0-9]{0,15})\Z", lines[1]) is not None, "the size of the checkpoint is no number")
    root = unbase64(lines[2])
    demand(len(root) == 32, "the root of the checkpoint is no hash")
    return lines[0], int(lines[1]), root


# --- Entries and their clear text ------------------------------------------------------------------------------------


def check_entry(entry, body):
    demand(len(body) <= MAX_ENTRY_BYTES, "the body is too large")
    demand(isinstance(entry, dict) and is_count(entry.get("v"), 1) and isinstance(entry.get("kind"), str), "no entry of version 1")
    for name in ("id", "writer"):
        demand(isinstance(entry.get(name), str) and HEX_32.match(entry[name]), f"its {name} is no id")
    demand(is_count(entry.get("at")), "its time is none")
    return sha256(b"\x00" + body)


def step(name):
    return "/" + name.replace("~", "~0").replace("/", "~1")


def digest(salt, pointer, value):
    return sha256(f"countersign/argument/v1\n{canonical([salt, pointer, value])}".encode()).hex()


def commitment(digests):
    return sha256(f"countersign/arguments/v1\n{canonical(sorted(digests))}".encode()).hex()


def check_commit(entry, section, digests):
    demand(entry.get(f"{section}_commit") == commitment(digests), f"the {section} shown is not what the entry commits to")


def check_opening(entry, opening):
    demand(isinstance(opening, dict), "the opening is no object")
    if set(opening) == {"disclosed"}:
        return check_disclosed(entry, opening["disclosed"])
    demand(set(opening) == {"key", "sections"} and isinstance(opening["sections"], dict), "the opening has other members")
    demand(isinstance(opening["key"], str) and HEX_64.match(opening["key"]), "the key of the opening is none")
    key = bytes.fromhex(opening["key"])
    for section, value in opening["sections"].items():
        fields = {step(section) + step(name): item for name, item in value.items()} if isinstance(value, dict) else {step(section): value}
        salts = {pointer: hmac.new(key, pointer.encode(), "sha256").hexdigest()[:32] for pointer in fields}
        check_commit(entry, section, [digest(salts[pointer], pointer, item) for pointer, item in fields.items()])


def check_disclosed(entry, disclosed):
    demand(isinstance(disclosed, dict) and disclosed, "what is disclosed is no object")
    for section, shown in disclosed.items():
        demand(isinstance(shown, dict) and set(shown) == {"fields", "withheld"}, "a disclosed section has other members")
        fields, withheld = shown["fields"], shown["withheld"]
        demand(isinstance(fields, list) and fields and isinstance(withheld, list), "a disclosed section shows nothing")
        demand(all(isinstance(item, str) and HEX_64.match(item) for item in withheld), "what is withheld is no list of digests")
        demand(all(isinstance(field, dict) and set(field) == {"pointer", "salt", "value"} for field in fields), "a field has other members")
        demand(all(isinstance(field["salt"], str) and HEX_32.match(field["salt"]) for field in fields), "a salt is none")
        pointers, alone = [field["pointer"] for field in fields], len(fields) == 1 and not withheld
        demand(all(isinstance(pointer, str) for pointer in pointers), "a pointer is no text")
        demand(all(a.encode("utf-16-be") < b.encode("utf-16-be") for a, b in zip(pointers, pointers[1:])), "fields are out of order")
        for field in fields:
            whole = alone and field["pointer"] == step(section) and not isinstance(field["value"], dict)
            member = re.match(re.escape(step(section)) + r"/([^/~]|~0|~1)*\Z", field["pointer"])
            demand(whole or member, "a pointer does not lead to a field of its section")
        digests = withheld + [digest(field["salt"], field["pointer"], field["value"]) for field in fields]
        demand(withheld == sorted(withheld) and len(set(digests)) == len(digests), "digests stand twice or out of order")
        check_commit(entry, section, digests)


class Calls:
    """Outcomes belong to allowed decisions before them, each once; a call is allowed once."""

    def __init__(self):
        self.open, self.others, self.calls = {}, {}, set()

    def take(self, index, leaf, entry):
        if entry["kind"] == "decision" and entry.get("effect") == "allow":
            call = entry.get("call")
            demand(isinstance(call, str) and call not in self.calls, "the call was allowed before")
            self.calls.add(call)
            self.open[index] = (leaf.hex(), entry.get("agent"), entry.get("session"), call)
        elif entry["kind"] == "decision":
            self.others[index] = leaf
        elif entry["kind"] == "outcome":
            named = entry.get("decision")
            demand(isinstance(named, dict) and is_count(named.get("of")), "the outcome names no decision")
            demand(named["of"] not in self.others, "the outcome is of a call that was not allowed")
            demand(named["of"] in self.open, "the outcome is of no open decision before it")
            decision = self.open.pop(named["of"])
            demand(decision == (named.get("leaf"), entry.get("agent"), entry.get("session"), entry.get("call")), "the outcome is of another call")


# --- The two files ---------------------------------------------------------------------------------------------------


def line_of(file):
    """One line without its line feed; None at the end."""
    line = file.readline(MAX_LINE_BYTES + 1)
    demand(line == b"" or line.endswith(b"\n"), "a line is too long, or the last one has no end")
    return line[:-1].decode("utf-8") if line else None


def verify_export(file, key):
    text = line_of(file)
    header, _ = DECODER.raw_decode(text)
    order = ["countersign", "version", "origin", "size", "checkpoint"]
    demand(isinstance(header, dict) and list(header) == order, "the header has other members")
    demand(text == "{" + ",".join(f"{canonical(name)}:{canonical(header[name])}" for name in order) + "}", "the header is written otherwise")
    demand(is_count(header["version"], 1) and is_count(header["size"]), "the header is of another version")
    if header["checkpoint"] is None:
        demand(header["size"] == 0 and line_of(file) is None, "no checkpoint covers the entries")
        print("NOT PROVEN: there are no entries")
        return 3
    demand(isinstance(header["checkpoint"], str), "the checkpoint is no text")
    origin, size, root = open_checkpoint(header["checkpoint"], key)
    demand((header["origin"], header["size"]) == (origin, size), "the header is of another log or size than its checkpoint")
    tree, calls = Tree(), Calls()
    while True:
        where = f"entry {tree.size + 1}"
        try:
            line = line_of(file)
            if line is None:
                break
            start = LINE_START.match(line)
            demand(start is not None and int(start[1]) == tree.size, "this is not its line")
            entry, end = take_canonical(line, start.end())
            body = line[start.end() : end].encode()
            leaf = check_entry(entry, body)
            demand(leaf.hex() == start[2], "the body was changed, or the hash beside it")
            if line[end:] != "}":
                demand(line.startswith(',"opening":{', end), "something else follows the entry")
                opening, end = take_canonical(line, end + len(',"opening":'))
                demand(line[end:] == "}", "something follows the opening")
                check_opening(entry, opening)
            calls.take(tree.size, leaf, entry)
            tree.push(leaf)
        except (Invalid, ValueError) as error:
            raise Invalid(f"{where}: {error}") from None
    demand(tree.size == size, f"the checkpoint covers {size} entries, there are {tree.size}")
    demand(tree.root() == root, "the entries do not give the root of the checkpoint")
    print(f"VALID: {size} entries of {origin}, signed by {key.name}; {len(calls.open)} calls are open")
    print("NOT PROVEN: that nothing was cut off at the end; compare with a checkpoint kept elsewhere")
    return 0


def check_proof(part, key):
    """One entry of a receipt: (entry, leaf, index, checkpoint), once it stands in the log."""
    demand(all(isinstance(part.get(name), str) for name in ("entry", "proof")), "the receipt lacks entry or proof")
    proof, separator, checkpoint = part["proof"].partition("\n\n")
    start = re.match(r"c2sp\.org/tlog-proof@v1\nindex (0|[1-9][0-9]{0,15})(\n|\Z)", proof)
    demand(separator != "" and start is not None, "the proof is no tlog-proof")
    path, index = [unbase64(line) for line in proof[start.end() :].split("\n") if start[2]], int(start[1])
    demand(len(path) <= MAX_PROOF_HASHES and all(len(item) == 32 for item in path), "the proof holds what is no hash, or too many")
    origin, size, root = open_checkpoint(checkpoint, key)
    entry = parse_canonical(part["entry"])
    leaf = check_entry(entry, part["entry"].encode())
    demand(is_included(leaf, index, size, path, root), "the entry is not in the log")
    if "opening" in part:
        check_opening(entry, part["opening"])
    return entry, leaf, index, (origin, size, checkpoint)


def verify_receipt(text, key):
    demand(len(text) <= MAX_RECEIPT_CHARS, "the receipt is too large")
    receipt = parse_canonical(text)
    demand(isinstance(receipt, dict) and receipt.get("countersign") == "receipt" and is_count(receipt.get("v"), 1), "no receipt of version 1")
    demand(set(receipt) <= {"countersign", "v", "entry", "proof", "opening", "outcome"}, "the receipt has other members")
    entry, leaf, index, checkpoint = check_proof(receipt, key)
    if "outcome" in receipt:
        part = receipt["outcome"]
        demand(isinstance(part, dict) and set(part) <= {"entry", "proof", "opening"}, "the outcome has other members")
        outcome, _, later, same = check_proof(part, key)
        demand(same == checkpoint, "decision and outcome are proven against different checkpoints")
        demand(entry["kind"] == "decision" and outcome["kind"] == "outcome", "these are no decision and outcome")
        demand(entry.get("effect") == "allow", "there is an outcome although the call was not allowed")
        named = outcome.get("decision")
        demand(isinstance(named, dict) and is_count(named.get("of"), index) and later > index, "the outcome is of another decision")
        demand(named.get("leaf") == leaf.hex(), "the outcome is of another decision")
        demand(all(entry.get(name) == outcome.get(name) for name in ("agent", "session", "call")), "decision and outcome are of different calls")
        demand(outcome["at"] >= entry["at"] or outcome["writer"] != entry["writer"], "the outcome is older than its decision")
    origin, size, _ = checkpoint
    print(f"VALID: entry {index + 1} of {size} of {origin} ({entry['kind']}), signed by {key.name}")
    print("NOT PROVEN: that others were shown the same log, or that nothing follows about this call")
    return 0


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    try:
        key = Key(arguments[1])
    except (Invalid, ValueError) as error:
        print(f"the key: {error}", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            if file.read(23) == b'{"countersign":"export"':
                file.seek(0)
                return verify_export(file, key)
            file.seek(0)
            return verify_receipt(file.read(4 * MAX_RECEIPT_CHARS + 1).decode("utf-8"), key)
    except OSError as error:
        print(f"CANNOT READ: {error}", file=sys.stderr)
        return 4
    except (Invalid, ValueError) as error:
        print(f"INVALID: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
