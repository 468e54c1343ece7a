"""Words of GNU parallel, xargs, kubectl and docker that Gristmill names otherwise, or does not have."""


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: answer for words, answer in table.items() for word in words.split()}


OPTIONS = _by_word(
    {
        "--timeout": "use --time-limit for each item or --max-wait for this command",
        "--restart": "use --retries N, for N more attempts of an item that failed",
        "--jobs -P --max-procs --parallel --concurrency --replicas": (
            "use -j, --max-running N for a batch, and gristmill up --cpu-slots N --io-slots N for a host"
        ),
        "-i -I --replace": "the replacement string is {}",
        "-N --max-args --max-replace-args -L --max-lines -X -m --xargs": "use -n N, which makes one item of N inputs",
        "-d --delimiter -C --colsep --null": (
            "items are lines: -0 reads items that end with NUL, --input-format reads jsonl and csv"
        ),
        "-a --arg-file --filename": "use --from FILE",
        "-o --out": "use --format text, jsonl or csv, and --output FILE",
        "--results --files": "use --output-dir DIR for programs; gristmill results --output FILE writes results",
        "--tagstring": "use --tag, which prints the input before each line of a program's output",
        "--wd": "use --workdir DIR",
        "--bar --progress --eta": "a terminal shows a bar by itself, and gristmill watch shows it again",
        "--dryrun": "use --dry-run",
        "--resume --resume-failed": "repeat the command with its --name; gristmill retry runs failures again",
        "--pipe --pipe-part --block": "there is no such option: --from - reads one item from each line",
        "--memfree --memory --load --nice": "GRISTMILL_SLOT_MEMORY limits memory; nothing limits by load",
        "-S --sshlogin --sshloginfile": "run gristmill up on each host, with the same GRISTMILL_REDIS_URL",
        "-e --env-file --context -H --host": "settings are environment variables: GRISTMILL_…",
        "--namespace": "GRISTMILL_PREFIX keeps the keys of several fleets apart",
        "-f --tail": "use --follow, where the command has it; --from FILE reads items",
        "-w --watch --wait": "use gristmill watch BATCH",
        "--detach --bg": "use gristmill submit, which does not wait",
        "-q --silent": "use --quiet",
        "-v --verbose -t": "set GRISTMILL_LOG_LEVEL=info for the workers",
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
        "exec parallel xargs": "use gristmill run TASK ITEM…",
        "apply create enqueue": "use gristmill submit",
        "start serve worker scale": "use gristmill up, with --cpu-slots N and --io-slots N",
        "down shutdown": "Ctrl-C ends gristmill up",
        "unpause continue": "use gristmill resume",
        "dashboard flower": "use gristmill up flower",
        "requeue rerun": "use gristmill retry, or gristmill dead requeue",
        "info health check": "use gristmill doctor",
        "version": "use gristmill --version",
        "help": "use gristmill --help, or --help after a command",
    }
)
