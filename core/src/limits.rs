//! Every bound, with its reason and what happens at it.

use std::time::Duration;

/// Longest line from the host. Images come inline as data URLs, so it is generous.
/// A longer line is skipped to its end and answered with an error.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Output waiting for the host above which nothing more is read, from the host or from a stream.
pub const OUTPUT_HIGH_WATER: usize = 1 << 20;

/// An output buffer that grew beyond this is given back when it runs empty.
pub const OUTPUT_KEEP_BYTES: usize = 64 << 10;

/// Notifications of one thread that nobody listens to; what comes beyond it is dropped.
pub const UNHEARD_BYTES_MAX: usize = 1 << 20;

/// Notifications that a host may opt out of by name; more are ignored.
pub const OPT_OUTS_MAX: usize = 256;

/// Requests without a reply, above which the host's input is not read.
pub const OPEN_REQUESTS_MAX: usize = 1024;

/// Requests about the account that wait for a store to finish; one more is refused.
pub const ACCOUNT_QUEUE_MAX: usize = 256;

/// The most that one answer has of a program's output.
pub const PROCESS_CHUNK_BYTES: usize = 8192;
/// How long a program's output is read on after its end, while something that it started holds it
/// open (engine.md §3.3); what was said by then is kept.
pub const PROCESS_DRAIN: Duration = Duration::from_secs(2);
/// Input that waits for a program's terminal to take it; more is dropped.
pub const PROCESS_INPUT_BYTES_MAX: usize = 1 << 20;

/// How long a model's command may run unless the model says otherwise (engine.md §3.3); then its
/// process group is killed.
pub const SHELL_LIMIT: Duration = Duration::from_secs(10);
/// How long it may run whatever the model says; a longer limit is taken for this one.
pub const SHELL_LIMIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// What is kept of each stream of a command, and of both together for the model; the middle of more
/// is dropped (engine.md §3.3).
pub const SHELL_OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Deltas of output that are told of each stream of a command; what comes later is kept, but not
/// told before the end (engine.md §3.3).
pub const SHELL_DELTAS_MAX: u32 = 10_000;

/// Programs that the model leaves running in one thread; for one more, one that has ended is
/// forgotten, or the one that was used least recently is killed (engine.md §3.5).
pub const SESSIONS_MAX: usize = 64;
/// Of these, so many that were used last are kept if others can go.
pub const SESSIONS_IN_USE: usize = 8;
/// From so many on the model is told to close some.
pub const SESSIONS_MANY: usize = 60;
/// The shortest time for which a program that may stay open is waited for.
pub const SESSION_WAIT_MIN: Duration = Duration::from_millis(250);
/// The shortest time for which one is looked at without typing, so that nobody looks all the time.
pub const SESSION_LOOK_MIN: Duration = Duration::from_secs(5);
/// The longest time for either; a longer one is taken for this one.
pub const SESSION_WAIT_MAX: Duration = Duration::from_secs(30);
/// Tokens of output that the model is given at a time unless it says otherwise.
pub const SESSION_TOKENS: u64 = 10_000;

/// How long a command of a client runs if the client does not say (protocol.md §8); then it is
/// killed.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// The longest that it may ask for, so that no clock overflows; a longer time is taken for this one.
pub const COMMAND_LIMIT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The beginning of each of a command's streams that is kept (engine.md §3.3); the rest is dropped.
pub const COMMAND_OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Programs that clients run outside of threads at a time, each of which may hold two such outputs;
/// further requests wait for one of them to end.
pub const COMMANDS_MAX: usize = 32;
/// How long one run of git may take (protocol.md §3.3); then there is no difference to show.
pub const GIT_LIMIT: Duration = Duration::from_secs(5);
/// What one run of git may say, and the whole difference to a remote; there is none beyond it,
/// because half a patch is worth nothing.
pub const GIT_DIFF_BYTES_MAX: usize = 16 << 20;
/// Files unknown to git in one difference, each of which costs a run; with more there is none.
pub const GIT_UNTRACKED_MAX: usize = 1000;
/// Commits among which the nearest shared one is looked for: they go into one command line. Further
/// ones, of a history with that many merges, are not looked at.
pub const GIT_SHARED_COMMITS_MAX: usize = 256;

/// How long a host has to answer a refresh request, from the moment it was written (auth.md §8.3).
pub const REFRESH_LIMIT: Duration = Duration::from_secs(10);

/// The longest that a host may ask to be given, for hosts that ask a person.
pub const REFRESH_LIMIT_MAX: Duration = Duration::from_secs(15 * 60);

/// How long a browser login may take; then it ends with `Login timed out` (auth.md §6.8).
pub const BROWSER_LOGIN_LIMIT: Duration = Duration::from_secs(600);
/// The same for a login with a device code (auth.md §15.3).
pub const DEVICE_LOGIN_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The port that the authority sends browsers to (auth.md §6.1).
pub const LOGIN_PORT: u16 = 1455;
/// Tries to have that port while another program has it, and the pause between them.
pub const LOGIN_PORT_TRIES_MAX: u32 = 10;
/// The pause between two of those tries.
pub const LOGIN_PORT_PAUSE: Duration = Duration::from_millis(200);
/// How long the program that has the port may take to hear that it should go.
pub const LOGIN_PORT_CANCEL_LIMIT: Duration = Duration::from_secs(2);
/// Head of a request of the browser; a longer one is refused by the backend.
pub const VISIT_HEAD_BYTES_MAX: usize = 64 << 10;
/// Shortest pause between two questions whether a device code was typed.
pub const DEVICE_POLL_MIN: Duration = Duration::from_secs(1);
/// Time for an exchange or a refresh with the token authority.
pub const TOKEN_LIMIT: Duration = Duration::from_secs(30);
/// Time for the optional API key of a login.
pub const KEY_LIMIT: Duration = Duration::from_secs(10);
/// Time for taking a token back at logout; nobody waits for it.
pub const REVOKE_LIMIT: Duration = Duration::from_secs(10);
/// Body of an answer of the token authority; a longer one is a failure.
pub const TOKEN_BYTES_MAX: usize = 1 << 20;
/// Age at which managed tokens without an expiry are refreshed (auth.md §7.2).
pub const MANAGED_FRESH: Duration = Duration::from_secs(8 * 24 * 3600);
/// Tries of one managed refresh while it fails in passing; then who waits is told.
pub const REFRESH_TRIES_MAX: u32 = 3;
/// After a refresh failed in passing, none is begun on the server's own account for so long.
pub const REFRESH_PAUSE: Duration = Duration::from_secs(60);
/// Time for reading the account's usage, and its body.
pub const USAGE_LIMIT: Duration = Duration::from_secs(30);
/// Body of the answer about the account's usage; a longer one is a failure.
pub const USAGE_BYTES_MAX: usize = 1 << 20;

/// From the end of input to the exit, at most.
pub const CLOSING_GRACE: Duration = Duration::from_millis(1500);

/// Body of an error response that is kept; the rest is read and dropped.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// One event of a model stream, or a history that the backend has made short; a longer one breaks
/// the stream.
pub const SSE_EVENT_BYTES_MAX: usize = 32 << 20;

/// Model list: body that is accepted, and time for it.
pub const CATALOGUE_BYTES_MAX: u64 = 8 << 20;
/// Time for fetching the model list (engine.md §9.3).
pub const CATALOGUE_LIMIT: Duration = Duration::from_secs(5);
/// Age at which the stored model list is fetched again (engine.md §9.3).
pub const CATALOGUE_FRESH: Duration = Duration::from_secs(300);

/// Lines of a thread whose file cannot be written; beyond it they are dropped, and that is said.
pub const UNSAVED_BYTES_MAX: usize = 16 << 20;

/// Bytes of a file that a copy holds at a time.
pub const COPY_BYTES: usize = 1 << 20;

/// Threads open at once; `thread/start` beyond it is refused.
pub const THREADS_MAX: usize = 10_000;

/// A thread that was not used for so long puts its history away; it is read back from the file before
/// the next turn.
pub const THREAD_IDLE: Duration = Duration::from_secs(30 * 60);
/// Histories of open threads in memory; beyond it those that were not used for longest are put away
/// sooner. Those of running turns count, and stay.
pub const HISTORY_BYTES_MAX: usize = 256 << 20;

/// Inputs that wait for the running turn to take them; one more is refused.
pub const PENDING_INPUTS_MAX: usize = 64;

/// A certificate of an exporter of telemetry, or a key; a larger file is refused, with a warning.
pub const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;
/// How long one request to a collector may take unless the environment says otherwise; then what it
/// carried is lost.
pub const COLLECTOR_LIMIT: Duration = Duration::from_secs(10);
/// The longest that the environment may say, so that what is measured meanwhile finds room; a
/// longer time is taken for this one.
pub const COLLECTOR_LIMIT_MAX: Duration = Duration::from_secs(60);
/// Attributes that the environment may add to all measurements; more are left out.
pub const RESOURCE_ATTRIBUTES_MAX: usize = 64;

/// Configuration and credential files larger than this are refused.
pub const SMALL_FILE_BYTES_MAX: u64 = 16 << 20;

/// Highest number of retries a provider may configure (engine.md §1.13).
pub const RETRIES_MAX: u32 = 100;

/// The longest time that a backend's `Retry-After` is obeyed; a longer one ends the turn.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Model requests that one attempt may send because of 401 (auth.md §13.1 I28).
pub const UNAUTHORIZED_REQUESTS_MAX: u32 = 3;

/// Longest line of a stored thread that is read: one input line of the host with room for its
/// escapes. A longer one is skipped and counted with those that cannot be decoded.
pub const ROLLOUT_LINE_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// Threads of one page of a list, at most; a larger limit is taken for this one (protocol.md §3.2).
pub const THREAD_PAGE_MAX: usize = 100;
/// Threads on a page when nobody says how many (protocol.md §3.2).
pub const THREAD_PAGE_DEFAULT: usize = 25;

/// Files that one page of a list looks into (engine.md §8.5). A page that meets this bound ends
/// there, short, with a cursor from which the next one goes on.
pub const THREAD_SCAN_MAX: usize = 10_000;

/// Files of which the order by time of change is remembered between lists, 56 bytes each; with more
/// of them every list by time of change asks for all files anew.
pub const THREAD_ORDER_FILES_MAX: usize = 500_000;
/// Folders that are watched for one such order, eleven years of days; with more none is.
pub const WATCHED_FOLDERS_MAX: u32 = 4096;
/// Changes in watched folders that are told at once; with more of them nothing is told but that, and
/// all files are asked for anew. The queue of Linux holds as many.
pub const FOLDER_CHANGES_MAX: usize = 16_384;

/// One file of the index of stored threads, which is about 400 bytes a thread and one file a day; a
/// larger one is thrown away and begun again.
pub const THREAD_INDEX_BYTES_MAX: u64 = 16 << 20;

/// The longest pause before a request to the model is repeated on our own account.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// Of an error response, what a message to the client quotes; the rest is cut off. A proxy may
/// answer with a whole web page.
pub const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;

/// Models in a fetched or stored list that are taken; the rest is dropped.
pub const CATALOGUE_MODELS_MAX: usize = 512;

/// Characters of a host's error message that are kept; the rest is cut off.
pub const HOST_ERROR_CHARS_MAX: usize = 2_000;
/// Segments of a dotted key on the command line or in a request; settings are walked recursively.
/// A longer key is refused.
pub const CONFIG_KEY_SEGMENTS_MAX: usize = 64;

/// A picture in a file that the model is shown: what the API takes of one. A larger one is not shown,
/// and the model is told.
pub const IMAGE_BYTES_MAX: u64 = 20 << 20;
/// The pictures of one input together, which the history holds as text from then on; further ones
/// are not shown.
pub const IMAGES_BYTES_MAX: u64 = 60 << 20;

/// A file of which `read_file` reads lines, which is held whole meanwhile; a larger one is refused,
/// and the model is told to use a command.
pub const READ_FILE_BYTES_MAX: u64 = 32 << 20;
/// Lines that `read_file` gives unless the model says otherwise (engine.md §3.6).
pub const READ_FILE_LINES: usize = 2000;
/// Lines that it gives at most, far more than an output may have; a larger limit is taken for this
/// one.
pub const READ_FILE_LINES_MAX: usize = 20_000;
/// Characters of a line that it gives (engine.md §3.6); the rest of the line is left out.
pub const READ_FILE_LINE_CHARS: usize = 500;
/// Entries that `list_dir` gives unless the model says otherwise (engine.md §3.6).
pub const LIST_DIR_ENTRIES: usize = 25;
/// Entries that it goes through for one list, those before the first that is wanted too; there the
/// list ends, and says so.
pub const LIST_DIR_ENTRIES_MAX: usize = 10_000;
/// Levels of folders that it goes down unless the model says otherwise (engine.md §3.6).
pub const LIST_DIR_DEPTH: usize = 2;
/// Levels that it goes down at most, each of which is a call within a call; a larger depth is taken
/// for this one.
pub const LIST_DIR_DEPTH_MAX: usize = 32;
/// How long a search of `grep_files` may take (engine.md §3.6); then it is killed.
pub const GREP_LIMIT: Duration = Duration::from_secs(30);
/// Files that it names unless the model says otherwise (engine.md §3.6).
pub const GREP_FILES: usize = 100;
/// Files that it names at most (engine.md §3.6); a larger limit is taken for this one.
pub const GREP_FILES_MAX: usize = 2000;

/// Text of a patch; a longer one is refused. Models write a few thousand lines at most.
pub const PATCH_BYTES_MAX: usize = 16 << 20;
/// Sections of a patch; one with more is refused.
pub const PATCH_SECTIONS_MAX: usize = 2_000;
/// A file that a patch touches; a larger one cannot be patched, and a diff leaves it out.
pub const PATCH_FILE_BYTES_MAX: u64 = 32 << 20;
/// All files of a patch together, which are held until it is decided; one with more is refused.
pub const PATCH_READ_BYTES_MAX: usize = 128 << 20;
/// Lines that one patch may compare with lines of files (a long line counts more), so that a
/// malicious one cannot keep a thread busy; one that needs more is refused. A second or two.
pub const PATCH_SEARCH_STEPS_MAX: u64 = 200_000_000;
/// Contents that are kept for the diff of a turn. Beyond it no more files are taken into the diff.
pub const TURN_DIFF_BYTES_MAX: usize = 64 << 20;
/// Shells within shells that are looked into when a command is judged; deeper ones count as
/// dangerous, because nobody writes them to be read.
pub const NESTED_SCRIPTS_MAX: usize = 4;
/// Words after options of `sudo` and its like that are tried as the command; with more of them it
/// counts as dangerous. Each try may hold another such program.
pub const WRAPPED_WORDS_MAX: usize = 8;

/// `.rules` files in one folder; with more of them the folder is an error and none is read.
pub const RULES_FILES_MAX: usize = 256;
/// One `.rules` file; a larger one is an error of that file.
pub const RULES_FILE_BYTES_MAX: u64 = 1 << 20;
/// Brackets, blocks and operators within each other in a `.rules` file: it is read recursively, and
/// whoever wrote it need not be trusted. A deeper one is an error of that file.
pub const RULES_DEPTH_MAX: usize = 64;
/// Indexes behind one value in a `.rules` file, as in `x[0][1]`; more are an error of that file.
pub const RULES_INDEXES_MAX: usize = 4;
/// Steps of evaluation of one `.rules` file, each about one value made; then it is an error.
pub const RULES_STEPS_MAX: usize = 200_000;
/// Rules in one file; then it is an error.
pub const RULES_PER_FILE_MAX: usize = 20_000;

/// Commands and files that a thread's user approved for the session; beyond it the user is asked
/// again.
pub const SESSION_APPROVALS_MAX: usize = 4096;
/// Lines, old and new together, between the first and the last difference of two texts that a diff
/// looks at closely, a second or two; more are shown as one replacement.
pub const DIFF_LINES_MAX: usize = 100_000;

/// Folders below one folder of skills that are searched (config.md §7.1); the rest is left out, and
/// the log says so.
pub const SKILL_FOLDERS_MAX: usize = 2_000;
/// How deep below a folder of skills is searched (config.md §7.1); deeper folders are left out.
pub const SKILL_DEPTH_MAX: usize = 6;
/// A file of a skill; a larger one is an error of that skill. Its text goes to the model whole.
pub const SKILL_BYTES_MAX: u64 = 1 << 20;
/// Lists and mappings within each other in a skill's head; a deeper one is an error of that skill.
pub const SKILL_YAML_DEPTH_MAX: usize = 32;
/// Characters of a skill's name and of other short texts (config.md §7.2).
pub const SKILL_NAME_CHARS_MAX: usize = 64;
/// Characters of a skill's description and of other long texts (config.md §7.2).
pub const SKILL_TEXT_CHARS_MAX: usize = 1024;
/// Skills that one input may name; more are not read for it, and the model still has the list.
pub const SKILLS_NAMED_MAX: usize = 32;

/// Prompts that the user keeps and that are listed; the rest is left out, and the log says so.
pub const PROMPTS_MAX: usize = 512;
/// A file of a prompt; a larger one is an error of that prompt. Its text goes to the model whole.
pub const PROMPT_BYTES_MAX: u64 = 1 << 20;
/// All prompts of one listing, which is one line for the host; those beyond it are errors.
pub const PROMPTS_BYTES_MAX: usize = 8 << 20;
/// Prompts that one input may call; further calls go to the model as they were typed.
pub const PROMPTS_CALLED_MAX: usize = 32;
/// A prompt with the user's words in their places, which may be many; a longer one goes to the model
/// as it was typed, and that is said.
pub const PROMPT_EXPANDED_BYTES_MAX: usize = 16 << 20;

/// Searches for files that run at once; further ones wait. Each has a thread, and hosts begin one
/// with every key that is pressed.
pub const SEARCHES_MAX: usize = 4;
/// Files that a search gives for one folder (protocol.md §8), the best.
pub const SEARCH_MATCHES_MAX: usize = 50;

/// Time for one page of the directory of apps (config.md §7.7).
pub const APPS_LIMIT: Duration = Duration::from_secs(60);
/// Body of one page of the directory of apps; a longer one is a failure.
pub const APPS_BYTES_MAX: usize = 8 << 20;
/// Pages of the directory of apps that are fetched; the rest is left out.
pub const APP_PAGES_MAX: usize = 50;
/// Time for seeing whether a provider can be reached; a person waits for it.
pub const PROBE_LIMIT: Duration = Duration::from_secs(4);
/// Time for sending feedback (config.md §6.2).
pub const FEEDBACK_LIMIT: Duration = Duration::from_secs(10);
/// The last lines of the log that are kept for feedback; older ones go.
pub const LOG_BYTES_MAX: usize = 256 << 10;

/// Tools that a client may add to a thread, which is what the API takes in one request; with more
/// the thread is refused.
pub const DYNAMIC_TOOLS_MAX: usize = 128;
/// Their descriptions and schemas together, which every request carries; with more the thread is
/// refused.
pub const DYNAMIC_TOOLS_BYTES_MAX: usize = 1 << 20;
/// The name of a tool, as the API takes it; a longer one is refused.
pub const TOOL_NAME_BYTES_MAX: usize = 64;

/// What a recording of a session holds back until a line or a body is whole and can be looked
/// through for secrets; beyond it the recording ends, and says so. The longest line fits.
pub const TRACE_HELD_BYTES_MAX: usize = 128 << 20;
/// Contents of files that a recording remembers, to write them once; further ones are written
/// whenever they are read.
pub const TRACE_CONTENTS_MAX: usize = 65_536;
