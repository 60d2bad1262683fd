"""Runs a command on a terminal of its own. argv[1]: JSON { command, cwd, steps: [[pattern, text to type, seconds before], ...], seconds }.

Prints JSON { output, code, steps }: what the terminal showed, the exit code (128 + n for signals), and how many steps were done.
Whatever is left of the terminal's session is ended then: a job in the background outlives its shell.
"""
import json
import os
import pty
import re
import select
import sys
import time



def left(session):
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        try:
            with open(f"/proc/{name}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if name.isdigit() and int(fields[3]) == session:
            yield int(name)


spec = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(spec["cwd"])
    os.execvp(spec["command"][0], spec["command"])

shown, done, since = b"", 0, 0
ends = time.monotonic() + spec["seconds"]
while time.monotonic() < ends:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            some = b""
        if not some:
            break
        shown += some
    while done < len(spec["steps"]):
        pattern, typed, pause = spec["steps"][done]
        # Each step looks only at what was shown after the one before.
        found = re.compile(pattern.encode()).search(shown, since)
        if found is None:
            break
        since = found.end()
        time.sleep(pause)
        os.write(terminal, typed.encode())
        done += 1
else:
    # Twice: the first one is the agent's. Then whatever it is.
    for number in (15, 15, 9):
        time.sleep(1)
        os.kill(pid, number)

_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
for each in left(pid):
    try:
        os.kill(each, 9)
    except ProcessLookupError:
        pass
print(json.dumps({"output": shown.decode("utf8", "replace"), "code": code if code >= 0 else 128 - code, "steps": done}))
