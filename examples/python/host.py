#!/usr/bin/env python3
"""A host in Python: starts the server, hands in its user's tokens, runs two turns.

    python3 examples/python/host.py target/debug/understudy target/debug/examples/backend

Standard library only. `Server` is the part to copy. What the host does in `main`:
signs its user in with tokens of its own; answers the request for new ones when the backend
refuses them in the middle of a turn; shows the reply as it streams; answers an approval.

The second argument starts the pretended backend of the examples. It says what happens, and exits
with 1 if that is not what should.
"""

import base64
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading

# Nothing here should take longer, even on a busy machine.
WAIT_S = 20

OLD_TOKEN = "access-1-pretended"


class ServerError(Exception):
    """The server refused a request, went away, or did not answer in time."""


class Server:
    """An app server as a child process: requests, notifications, and requests of its own."""

    def __init__(self, command, home, answers):
        """`answers` maps the methods of the server's requests to functions from params to result.

        They are called on the reading thread, one after the other. One that has to ask a person
        should hand the question on and answer later, from another thread.
        """
        environment = {**os.environ, "CODEX_HOME": home}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._answers = answers
        self._writing = threading.Lock()
        self._replies = {}
        self._last_id = 0
        self._notices = queue.Queue()
        # A thread that always reads: a host that stops reading stops the model.
        threading.Thread(target=self._read, daemon=True).start()

    def request(self, method, params=None):
        """Sends a request and waits for its result."""
        self._last_id += 1
        reply = self._replies[self._last_id] = queue.Queue(1)
        self._send({"id": self._last_id, "method": method, "params": params})
        try:
            message = reply.get(timeout=WAIT_S)
        except queue.Empty:
            raise ServerError(f"no answer to {method}") from None
        if "error" in message:
            raise ServerError(f"{method}: {message['error']['message']}")
        return message["result"]

    def notices(self):
        """The notifications, as they come: pairs of method and params."""
        while True:
            try:
                message = self._notices.get(timeout=WAIT_S)
            except queue.Empty:
                raise ServerError("the server says nothing more") from None
            if message is None:
                raise ServerError("the server has gone")
            yield message["method"], message.get("params")

    def close(self):
        """Ends the server by ending its input, and returns its exit status."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # It has gone on its own; the status tells how.
        return self._process.wait(timeout=WAIT_S)

    def _send(self, message):
        # One write a message, and one at a time: answers come from the reading thread.
        with self._writing:
            try:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise ServerError("the server has gone") from None

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self._replies.pop(message["id"]).put(message)
            elif "id" in message:
                self._send({"id": message["id"], **self._answer(message)})
            else:
                self._notices.put(message)
        self._notices.put(None)
        for reply in list(self._replies.values()):
            reply.put({"error": {"message": "the server has gone"}})

    def _answer(self, asked):
        """Every request of the server wants an answer, also one that this host does not know."""
        answer = self._answers.get(asked["method"])
        if answer is None:
            return {"error": {"code": -32601, "message": "this host does not know that"}}
        try:
            return {"result": answer(asked["params"])}
        except Exception as error:  # The turn that waits for it should hear why.
            return {"error": {"code": -32000, "message": str(error)}}


def say(what, detail):
    print(f"{what:<26} {detail}", flush=True)


def check(holds, what):
    if not holds:
        raise ServerError(f"this should hold, and does not: {what}")


def id_token():
    """Claims as a sign-in gives them; nobody signed these."""
    claims = {
        "email": "ada@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": "pro",
            "chatgpt_account_id": "org-1",
        },
    }
    parts = [json.dumps({"alg": "none"}), json.dumps(claims), "pretended"]
    return ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts)


def run_turn(server, thread, text):
    """Runs one turn and returns what was streamed, and how the turn ended."""
    params = {"threadId": thread, "input": [{"type": "text", "text": text}]}
    turn = server.request("turn/start", params)["turn"]["id"]
    say("a turn begins", text)
    streamed = []
    for method, params in server.notices():
        if method == "item/agentMessage/delta":
            say("the model says", params["delta"].strip())
            streamed.append(params["delta"])
        elif method == "turn/completed" and params["turn"]["id"] == turn:
            say("the turn is over", params["turn"]["status"])
            return "".join(streamed), params["turn"]


def talk(server, work, backend, asked):
    info = {"name": "python-host", "title": "A host in Python", "version": "1.0.0"}
    hello = server.request("initialize", {"clientInfo": info})
    say("the server is there", hello["userAgent"])

    tokens = {"accessToken": OLD_TOKEN, "idToken": id_token()}
    server.request("account/login/start", {"type": "chatgptAuthTokens", **tokens})
    account = server.request("account/read", {})["account"]
    say("tokens are handed in", f"for {account['email']}")
    check(account["email"] == "ada@example.com", "the server knows whose tokens these are")

    # "untrusted": whatever does more than read is asked about.
    settings = {"cwd": work, "approvalPolicy": "untrusted", "sandbox": "read-only"}
    thread = server.request("thread/start", settings)["thread"]["id"]

    streamed, turn = run_turn(server, thread, "Say hello")
    check(turn["status"] == "completed", f"the turn completed: {turn}")
    check(streamed == backend["says"], "the pieces are the whole reply")
    check(asked == ["refresh"], "new tokens were asked for, once")

    streamed, turn = run_turn(server, thread, "run printf %s approved")
    check(turn["status"] == "completed", f"the turn completed: {turn}")
    check(asked == ["refresh", "approval"], "the command was asked about, once")
    check("approved" in streamed, f"the model was told what the command said: {streamed}")


def main(server_program, backend_program):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # Leaving the block closes its input, which ends it.
    with subprocess.Popen([backend_program], **pipes) as pretended:
        play(server_program, pretended)
    print("ok: tokens were renewed in the middle of a turn, and a command was approved")


def play(server_program, pretended):
    backend = json.loads(pretended.stdout.readline())
    asked = []

    def refresh(params):
        say("new tokens are asked for", f"{params['reason']}, {params['previousAccountId']}")
        asked.append("refresh")
        return {"accessToken": backend["goodToken"], "idToken": id_token()}

    def approve(params):
        say("may this run?", params["command"])
        asked.append("approval")
        return {"decision": "accept"}

    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "config.toml"), "w", encoding="utf-8") as config:
            config.write(backend["config"])
        answers = {
            "account/chatgptAuthTokens/refresh": refresh,
            "item/commandExecution/requestApproval": approve,
        }
        server = Server([server_program, "app-server"], home, answers)
        try:
            talk(server, home, backend, asked)
        finally:
            status = server.close()
        check(status == 0, f"the server ended in order: {status}")
        check(not os.path.exists(os.path.join(home, "auth.json")), "no token is on disk")

    last, _ = pretended.communicate()
    bearers = json.loads(last)["bearers"]
    check(bearers[:2] == [OLD_TOKEN, backend["goodToken"]], f"the right tokens went: {bearers}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("the server and the backend, and nothing else")
    try:
        main(sys.argv[1], sys.argv[2])
    except ServerError as error:
        sys.exit(f"FAILED: {error}")
