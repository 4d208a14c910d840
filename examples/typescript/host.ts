/**
 * A host in TypeScript: starts the server, hands in its user's tokens, runs two turns.
 *
 *     node --experimental-strip-types examples/typescript/host.ts target/debug/understudy target/debug/examples/backend
 *
 * Node.js 22.6 or newer runs it as it is; for older ones see the README beside it. `Server` is the
 * part to copy. What the host does in `main`: signs its user in with tokens of its own; answers the
 * request for new ones when the backend refuses them in the middle of a turn; shows the reply as it
 * streams; answers an approval.
 *
 * The protocol's types are written by `understudy app-server generate-ts --out protocol`; they are
 * needed for checking, not for running.
 *
 * The second argument starts the pretended backend of the examples. It says what happens, and exits
 * with 1 if that is not what should.
 */

import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

import type {
  ClientRequest,
  InitializeResponse,
  ServerNotification,
  ServerRequest,
  v2,
} from "./protocol";

/** Nothing here should take longer, even on a busy machine. */
const WAIT_MS = 20_000;

const OLD_TOKEN = "access-1-pretended";

/** The requests that this host makes, with what answers them. */
type Results = {
  initialize: InitializeResponse;
  "account/login/start": v2.LoginAccountResponse;
  "account/read": v2.GetAccountResponse;
  "thread/start": v2.ThreadStartResponse;
  "turn/start": v2.TurnStartResponse;
};
type Params<M> = Extract<ClientRequest, { method: M }>["params"];

/** Answers requests of the server; what it throws reaches whoever reads the turn's error. */
type Answer = (asked: ServerRequest) => unknown;

/** What the host waits for: one reply, or the next notification. */
type Waiting<T> = { resolve: (value: T) => void; reject: (error: Error) => void };

/** An app server as a child process: requests, notifications, and requests of its own. */
class Server {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly answer: Answer;
  private readonly replies = new Map<number, Waiting<unknown>>();
  private readonly heard: ServerNotification[] = [];
  private listener: Waiting<ServerNotification> | undefined;
  private readonly ended: Promise<number | null>;
  private lastId = 0;

  constructor(program: string, home: string, answer: Answer) {
    this.answer = answer;
    this.child = spawn(program, ["app-server"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, CODEX_HOME: home },
    });
    // Lines are always read: a host that stops reading stops the model.
    const lines = createInterface({ input: this.child.stdout, crlfDelay: Infinity });
    lines.on("line", (line) => this.onLine(line));
    // A server that has gone is noticed by the end of its output.
    this.child.stdin.on("error", () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (status) => {
        this.onEnd();
        resolve(status);
      });
    });
    // Whoever closes it looks at the failure; nobody else need.
    this.ended.catch((error: Error) => this.onEnd(error));
  }

  /** Sends a request and waits for its result. */
  request<M extends keyof Results>(method: M, params: Params<M>): Promise<Results[M]> {
    const id = ++this.lastId;
    const reply = new Promise<Results[M]>((resolve, reject) => {
      this.replies.set(id, { resolve: resolve as (value: unknown) => void, reject });
    });
    this.send({ id, method, params });
    return within(reply, `the answer to ${method}`);
  }

  /** The next notification. */
  notice(): Promise<ServerNotification> {
    const next = new Promise<ServerNotification>((resolve, reject) => {
      const heard = this.heard.shift();
      if (heard !== undefined) {
        resolve(heard);
      } else {
        this.listener = { resolve, reject };
      }
    });
    return within(next, "a notification");
  }

  /** Ends the server by ending its input, and returns its exit status. */
  close(): Promise<number | null> {
    this.child.stdin.end();
    return within(this.ended, "the server's end");
  }

  private send(message: object): void {
    // One write a message. Node.js keeps what the pipe does not take yet.
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  private onLine(line: string): void {
    const message = JSON.parse(line);
    if (message.method === undefined) {
      const waiting = this.replies.get(message.id);
      this.replies.delete(message.id);
      if (message.error === undefined) {
        waiting?.resolve(message.result);
      } else {
        waiting?.reject(new Error(message.error.message));
      }
    } else if (message.id === undefined) {
      this.onNotice(message);
    } else {
      void this.onAsked(message);
    }
  }

  private onNotice(notice: ServerNotification): void {
    if (this.listener === undefined) {
      this.heard.push(notice);
      return;
    }
    this.listener.resolve(notice);
    this.listener = undefined;
  }

  /** Every request of the server wants an answer, also one that this host does not know. */
  private async onAsked(asked: ServerRequest): Promise<void> {
    try {
      this.send({ id: asked.id, result: await this.answer(asked) });
    } catch (error) {
      this.send({ id: asked.id, error: { code: -32000, message: String(error) } });
    }
  }

  private onEnd(error = new Error("the server has gone")): void {
    for (const waiting of this.replies.values()) {
      waiting.reject(error);
    }
    this.replies.clear();
    this.listener?.reject(error);
  }
}

async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), WAIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function say(what: string, detail: unknown): void {
  console.log(`${what.padEnd(26)} ${detail}`);
}

function check(holds: boolean, what: string): void {
  if (!holds) {
    throw new Error(`this should hold, and does not: ${what}`);
  }
}

/** Claims as a sign-in gives them; nobody signed these. */
function idToken(): string {
  const claims = {
    email: "ada@example.com",
    "https://api.openai.com/auth": { chatgpt_plan_type: "pro", chatgpt_account_id: "org-1" },
  };
  const parts = [JSON.stringify({ alg: "none" }), JSON.stringify(claims), "pretended"];
  return parts.map((part) => Buffer.from(part).toString("base64url")).join(".");
}

/** Runs one turn to its end and returns what was streamed. */
async function runTurn(server: Server, threadId: string, text: string): Promise<string> {
  const input: v2.UserInput[] = [{ type: "text", text }];
  const started = await server.request("turn/start", { threadId, input });
  say("a turn begins", text);
  let streamed = "";
  for (;;) {
    const notice = await server.notice();
    if (notice.method === "item/agentMessage/delta") {
      say("the model says", notice.params.delta.trim());
      streamed += notice.params.delta;
    } else if (notice.method === "turn/completed" && notice.params.turn.id === started.turn.id) {
      const turn = notice.params.turn;
      say("the turn is over", turn.status);
      check(turn.status === "completed", `the turn completed: ${JSON.stringify(turn)}`);
      return streamed;
    }
  }
}

async function talk(server: Server, work: string, says: string): Promise<void> {
  const clientInfo = { name: "typescript-host", title: "A host in TypeScript", version: "1.0.0" };
  const hello = await server.request("initialize", { clientInfo });
  say("the server is there", hello.userAgent);

  const login: v2.LoginAccountParams = {
    type: "chatgptAuthTokens",
    accessToken: OLD_TOKEN,
    idToken: idToken(),
  };
  await server.request("account/login/start", login);
  const { account } = await server.request("account/read", {});
  const email = account?.type === "chatgpt" ? account.email : undefined;
  say("tokens are handed in", `for ${email}`);
  check(email === "ada@example.com", "the server knows whose tokens these are");

  // "untrusted": whatever does more than read is asked about.
  const settings: v2.ThreadStartParams = {
    cwd: work,
    approvalPolicy: "untrusted",
    sandbox: "read-only",
  };
  const { thread } = await server.request("thread/start", settings);

  const hellos = await runTurn(server, thread.id, "Say hello");
  check(hellos === says, `the pieces are the whole reply: ${hellos}`);
  const output = await runTurn(server, thread.id, "run printf %s approved");
  check(output.includes("approved"), `the model heard the command: ${output}`);
}

async function main(serverProgram: string, backendProgram: string): Promise<void> {
  const pretended = spawn(backendProgram, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: pretended.stdout })[Symbol.asyncIterator]();
  const backend = JSON.parse((await lines.next()).value);

  const asked: string[] = [];
  const answer: Answer = (request) => {
    switch (request.method) {
      case "account/chatgptAuthTokens/refresh":
        say("new tokens are asked for", request.params.reason);
        asked.push("refresh");
        return { accessToken: backend.goodToken, idToken: idToken() };
      case "item/commandExecution/requestApproval":
        say("may this run?", request.params.command);
        asked.push("approval");
        return { decision: "accept" };
      default:
        throw new Error(`this host does not know ${request.method}`);
    }
  };

  const home = mkdtempSync(join(tmpdir(), "host-"));
  try {
    writeFileSync(join(home, "config.toml"), backend.config);
    const server = new Server(serverProgram, home, answer);
    try {
      await talk(server, home, backend.says);
    } finally {
      const status = await server.close();
      check(status === 0, `the server ended in order: ${status}`);
    }
    check(asked.join() === "refresh,approval", `each was asked for once: ${asked}`);
    check(!existsSync(join(home, "auth.json")), "no token is on disk");
  } finally {
    rmSync(home, { recursive: true });
    pretended.stdin.end();
  }
  const { bearers } = JSON.parse((await lines.next()).value);
  const right = bearers[0] === OLD_TOKEN && bearers[1] === backend.goodToken;
  check(right, `the right tokens went: ${bearers}`);
  console.log("ok: tokens were renewed in the middle of a turn, and a command was approved");
}

const [serverProgram, backendProgram, ...more] = process.argv.slice(2);
if (serverProgram === undefined || backendProgram === undefined || more.length > 0) {
  console.error("the server and the backend, and nothing else");
  process.exit(1);
}
main(serverProgram, backendProgram).catch((error: Error) => {
  console.error(`FAILED: ${error.message}`);
  process.exitCode = 1;
});
