"""A client of `countersign serve` in Python's standard library. What cannot be decided does not run.

    client = Countersign(agent="py-bot", socket=".countersign/serve/decide.sock", session="s1")

    @client.guarded("refund")
    def refund(amount, to): ...

The decorated function runs once per permit, with the arguments that were decided. `Refused` means that it did not run, and
its text is for the model; `Unavailable` that nobody decided, or that the outcome could not be told: its result is then withheld.
"""
import functools
import http.client
import inspect
import json
import os
import re
import socket as sockets
import time
import uuid

PERMITS = "/countersign/v1/permits"
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_WAIT_SECONDS = 50
MAX_MESSAGE_CHARS = 4000
CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refused(Exception):
    """The call was refused, or nobody answered in time. `code` says why."""

    def __init__(self, code, reason):
        super().__init__(f"call refused: {reason} [{code}]" if reason else f"call refused [{code}]")
        self.code = code


class Unavailable(Exception):
    """There is no decision, or no record of the outcome."""


class ToolFailed(Exception):
    """The tool raised, and its own words may not be shown."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Countersign:
    def __init__(self, agent, socket=None, port=None, token=None, session=None, principal=None, wait_seconds=300):
        if (socket is None) == (port is None):
            raise ValueError("name a socket or a port")
        self._agent, self._socket, self._port, self._token = agent, socket, port, token
        self._session, self._principal, self._wait_seconds = session, principal, wait_seconds
        # What this process starts is part of the guarded tree, and may not answer approvals.
        os.environ["COUNTERSIGN_GUARDED"] = "1"

    def guarded(self, tool):
        """Decorates a function as the tool `name` or `server/name`."""

        def decorate(function):
            signature = inspect.signature(function)
            # Arguments are decided by name, and the permit is for one run that ends: what is awaited later runs without one.
            if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in signature.parameters.values()):
                raise TypeError(f"{tool}: a guarded function takes named arguments only, no *args, **kwargs or positional-only ones")
            if any(kind(function) for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)):
                raise TypeError(f"{tool}: a guarded function returns its result: this one is async or a generator")

            def guarded_call(call_id, *args, **kwargs):
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                return self._run(tool, call_id, dict(bound.arguments), function)

            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return guarded_call(uuid.uuid4().hex, *args, **kwargs)

            # With the framework's own id of the call, so that a retry of it is recognised.
            wrapper.guarded_call = guarded_call
            return wrapper

        return decorate

    def _run(self, tool, call_id, arguments, function):
        permit = self._permit(tool, call_id, arguments)
        if not _is_for(permit, arguments):
            self._settle(permit, status="cancelled")
            raise Unavailable("countersign gave a permit for other arguments")
        try:
            result = function(**permit["args"])
        except BaseException as error:
            message = _message(error)
            told = message[:MAX_MESSAGE_CHARS]
            answer = self._settle(permit, status="error", error={"type": type(error).__name__[:64], "message": told})
            shown = _replaced(answer) if "replaced" in answer else _text(answer.get("error"), "message")
            # What was not sent was looked at by nobody.
            if shown != message:
                raise ToolFailed(shown) from None
            raise
        answer = self._settle(permit, status="success", result=result)
        return _replaced(answer) if "replaced" in answer else answer.get("result")

    def _permit(self, tool, call_id, arguments):
        body = {
            "subject": {"type": "agent", "id": self._agent},
            "action": {"name": "call", "properties": {"args": arguments}},
            "resource": {"type": "tool", "id": tool},
            "call": {"id": call_id},
        }
        if self._principal is not None:
            body["subject"]["properties"] = {"principal": self._principal}
        if self._session is not None:
            body["context"] = {"session": {"id": self._session}}
        until = time.monotonic() + self._wait_seconds
        while True:
            left = max(0, min(MAX_WAIT_SECONDS, until - time.monotonic()))
            answer = self._post(PERMITS, {**body, "wait_ms": int(left * 1000)}, left + 30)
            if answer.get("kind") == "permit":
                return _checked(answer)
            if answer.get("kind") == "refusal":
                raise Refused(answer.get("reason_code"), answer.get("reason"))
            if answer.get("kind") != "pending":
                raise Unavailable("countersign answered neither permit nor refusal")
            if time.monotonic() >= until:
                raise Refused("APPROVAL_PENDING", f"nobody answered approval {answer.get('approval_id')} yet")
            if left < 1:
                time.sleep(0.1)

    def _settle(self, permit, **outcome):
        answer = self._post(f"{PERMITS}/{permit['call']}/outcome", {"permit_token": permit["permit_token"], **outcome}, 30)
        if answer.get("kind") != "settled" or answer.get("call") != permit["call"]:
            raise Unavailable("countersign did not take the outcome: the result is withheld")
        return answer

    def _post(self, path, body, timeout):
        try:
            text = json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise Unavailable(f"not JSON: {error}") from None
        headers = {"content-type": "application/json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        where = _UnixConnection(self._socket, timeout) if self._port is None else http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            # Never through a proxy, and never elsewhere: http.client follows no redirect.
            where.request("POST", path, text, headers)
            response = where.getresponse()
            answer = _strict_json(response.read(MAX_ANSWER_BYTES + 1), response)
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Unavailable(f"countersign cannot be asked: {type(error).__name__}") from error
        finally:
            where.close()
        if response.status != 200 or not isinstance(answer, dict):
            code = answer.get("error", {}).get("code") if isinstance(answer, dict) and isinstance(answer.get("error"), dict) else None
            raise Unavailable(f"countersign answered {response.status} {code or ''}".rstrip())
        return answer


def _checked(permit):
    """What telling the outcome needs is there before anything runs."""
    call, args = permit.get("call"), permit.get("args")
    if isinstance(permit.get("permit_token"), str) and isinstance(args, dict) and isinstance(call, str) and CALL_ID.fullmatch(call):
        return permit
    raise Unavailable("countersign gave a permit that is none")


def _is_for(permit, arguments):
    """Those that were asked for, as JSON has them, unless a person edited them. Numbers past 2^53 are others by then."""
    args = permit["args"]
    return args.keys() <= arguments.keys() and ("edited" in permit or args == json.loads(json.dumps(arguments)))


def _strict_json(data, response):
    """A whole answer that everybody reads alike."""
    if len(data) > MAX_ANSWER_BYTES or (response.length or 0) > 0:
        raise ValueError("the answer is too long, or only half of it came")
    if response.status == 200 and response.headers.get_content_type() != "application/json":
        raise ValueError("the answer is no JSON")
    return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _no_number(text):
    raise ValueError(f"{text} is no JSON")


def _replaced(answer):
    return _text(answer["replaced"], "text")


def _text(value, name):
    if isinstance(value, dict) and isinstance(value.get(name), str):
        return value[name]
    raise Unavailable("countersign did not say what may be shown: the result is withheld")


def _message(error):
    try:
        return str(error).encode("utf-8", "replace").decode("utf-8")
    except Exception:
        return "an error without words"
