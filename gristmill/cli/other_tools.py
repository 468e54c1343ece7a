"""Words of GNU parallel, xargs, kubectl and docker that Gristmill names otherwise, or does not have.

`gristmill help parallel` shows those of parallel, xargs and joblib beside ours.
"""


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: answer for words, answer in table.items() for word in words.split()}


OPTIONS = _by_word(
    {
        "--timeout": "use --time-limit for each item or --max-wait for this command",
        "--restart": "use --retries N, for N more attempts of an item that failed",
        "--jobs --procs -P --max-procs --parallel --concurrency --replicas": (
            "use -j, --max-running N for a batch, and gristmill up --cpu-slots N --io-slots N for a host"
        ),
        "-i -I -U --replace --rpl --plus --parens --seqreplace": (
            "the replacement strings are {} {.} {/} {//} {/.} {#} {%} {1} {name}"
        ),
        "-N --max-args --max-replace-args -L -l --max-lines -X -m --xargs": (
            "use -n N, which makes one item of N inputs"
        ),
        "-d --delimiter -E --eof": "items are lines, or end with NUL (-0): let tr or sed change the input",
        "--null --nul": "use -0",
        "-C --colsep": "use --separator TEXT, which is not a regular expression; {1} is then the first column",
        "--header --csv": "--from reads .csv and .tsv with a header: {name} is a column; --separator changes the comma",
        "--link --xapply": "use :::+ or ::::+, which link a source to the one before it",
        "--arg-sep --arg-file-sep --trim": "there is no such option: ::: is fixed, and items stay as they are",
        "-r --no-run-if-empty": "no items, or a source without any, run nothing; --allow-empty makes that a success",
        "-a --arg-file --filename": "use --from FILE, or :::: FILE to combine it with others",
        "--keep-order": "use -k",
        "--quote --shellquote --shell-quote": (
            "no shell reads the words of a program: they need no quotes, unless --shell is there"
        ),
        "-u --ungroup --group --linebuffer --line-buffer --lb": "the output of a program comes whole, as it ends",
        "-s --max-chars -x --exit --show-limits": "-n N bounds the inputs of a command; an item has 1 MiB at most",
        "-p --interactive": "--dry-run prints the commands and runs none",
        "--process-slot-var": "{%} in the words is the number of the slot",
        "--open-tty --tty --tmux --fg": "programs run on workers, without a terminal",
        "--sem --semaphore --id": "there is no such option: flock takes turns on one host",
        "--delay": "use --rate, such as --rate 2/s for a delay of 0.5 s",
        "--nice": "put nice -n N before PROGRAM",
        "--limit --memsuspend --noswap": "nothing limits by load; --memory reserves memory for each item",
        "--halt-on-error": "use --halt, such as --halt soon,fail=1",
        "--filter": "filter the input: grep PATTERN FILE | gristmill run --from - …",
        "--shuf": "shuffle the input: shuf FILE | gristmill run --from - …",
        "--sqlmaster --sqlworker --sqlandworker --dburl": "the server keeps items and results: gristmill results",
        "--compress --tmpdir": "no output waits in files of its own: the server keeps it, or --output-dir has it",
        "--color --ctag --ctagstring --color-failed": "--tag is without colours; bars and tables have them",
        "--record-env --profile": "settings are in the environment, or a .env beside the project's pyproject.toml",
        "--will-cite --citation": "there is no notice to silence",
        "--env-shell --env_parallel": "functions of a shell do not travel: write a script, or --shell with a line",
        "--trc --transfer --transferfile --return --cleanup --basefile": (
            "nothing copies files: the hosts share a directory, GRISTMILL_DATA_ROOT"
        ),
        "--onall --nonall": "there is no such option: an item runs once, on the first free slot",
        "-o --out": "use --format text, jsonl or csv, and --output FILE",
        "--results --files": "use --output-dir DIR for programs; gristmill results --output FILE writes results",
        "--tagstring": "use --tag, which prints the input before each line of a program's output",
        "--wd": "use --workdir DIR",
        "--bar --progress --eta": "a terminal shows a bar by itself, and gristmill watch shows it again",
        "--dryrun": "use --dry-run",
        "--resume --resume-failed --retry-failed": (
            "repeat the command with its --name; gristmill retry runs failures again"
        ),
        "--pipe --pipe-part --pipepart --cat --fifo --block --block-size --recstart --recend --tee --round-robin": (
            "there is no such option: --from - reads one item from each line; split(1) cuts a file for {}"
        ),
        "--memfree --memory --load": "GRISTMILL_SLOT_MEMORY limits memory; nothing limits by load",
        "-S --sshlogin --sshloginfile --slf --ssh --sshdelay --hostgroups --controlmaster": (
            "run gristmill up on each host, with the same GRISTMILL_REDIS_URL"
        ),
        "-e --env-file --context -H --host": "settings are environment variables: GRISTMILL_…",
        "--namespace": "GRISTMILL_PREFIX keeps the keys of several fleets apart",
        "-f --tail": "use --follow, where the command has it; --from FILE reads items",
        "-w --watch --wait": "use gristmill watch BATCH",
        "--detach --bg": "use gristmill submit, which does not wait",
        "-q --silent": "use --quiet; the words of a program need no quotes",
        "-v --verbose -t": "--dry-run prints the commands; GRISTMILL_LOG_LEVEL=info logs what the workers do",
    }
)

COMMANDS = _by_word(
    {
        "ps ls list get": "use gristmill batches, or gristmill workers",
        "rm remove forget drop purge": "use gristmill delete, or gristmill dead delete",
        "kill stop abort": "use gristmill cancel, with --kill to end running items too",
        "top stats": "use gristmill workers --watch",
        "describe inspect status show": "use gristmill batches --json",
        "wait attach follow": "use gristmill watch",
        "exec parallel xargs": "use gristmill run -- PROGRAM ::: ITEM…, see gristmill help parallel",
        "apply create enqueue": "use gristmill submit",
        "start serve worker scale": "use gristmill up, with --cpu-slots N and --io-slots N",
        "down shutdown": "Ctrl-C ends gristmill up",
        "unpause continue": "use gristmill resume",
        "dashboard flower": "use gristmill up flower",
        "requeue rerun": "use gristmill retry, or gristmill dead requeue",
        "info health check": "use gristmill doctor",
        "version": "use gristmill --version",
    }
)

#: Options of GNU parallel, those that mean one thing in a line.
PARALLEL = (
    "-a --arg-file",
    "-0 --null",
    "-d --delimiter",
    "--colsep -C",
    "--header --csv",
    "--link --xapply",
    "-n --max-args",
    "-N -X -m --xargs -L",
    "-I -U --rpl --plus",
    "-r --no-run-if-empty",
    "--shuf",
    "-j --jobs",
    "--delay",
    "--nice",
    "--load --memfree --noswap --limit",
    "--timeout",
    "--retries",
    "--halt",
    "-k --keep-order",
    "--tag",
    "--tagstring",
    "-u --group --line-buffer --lb",
    "--joblog",
    "--results --files",
    "--resume --resume-failed --retry-failed",
    "--dry-run",
    "-v -t",
    "--bar --eta --progress",
    "--quote --shellquote",
    "--env",
    "--workdir --wd",
    "-S --sshlogin --slf",
    "--trc --transfer --return --cleanup --basefile",
    "--onall --nonall",
    "--pipe --block --recstart --recend",
    "--tmux --fg --sem",
    "--will-cite",
)
#: Options of xargs.
XARGS = (
    "-0 --null",
    "-a --arg-file",
    "-d --delimiter -E --eof -e",
    "-I -i --replace",
    "-n --max-args",
    "-L -l --max-lines",
    "-s --max-chars -x --exit --show-limits",
    "-P --max-procs",
    "--process-slot-var",
    "-p --interactive",
    "-r --no-run-if-empty",
    "-t --verbose",
    "--open-tty -o",
)
#: Arguments of `joblib.Parallel`, whose items are tasks here: functions with @cpu or @io.
JOBLIB = {
    "n_jobs": "the fleet's slots: gristmill up --cpu-slots N",
    "backend, prefer, require": "@cpu runs in processes, @io in threads or on an event loop",
    "return_as": "batch.values() yields values in order, batch.follow() results as items complete",
    "timeout": "@cpu(time_limit=SECONDS) for each item, max_wait for a call",
    "batch_size, pre_dispatch": "chunks follow the measured time of the items; the producer waits for the server",
    "verbose": "a terminal shows a bar; gristmill watch shows it again",
    "temp_folder, max_nbytes, mmap_mode": "an item is JSON of up to 1 MiB: give the path of a file",
}
