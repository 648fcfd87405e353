"""`consent`: finds the command, and turns every error into one sentence and an exit status (design, section 10)."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from cli.session import Session
from ledger.errors import ConsentLedgerError, InvalidInput, Refused

DONE, NO, WRONG_USAGE, UNUSABLE = 0, 1, 2, 3
#: What a terminal would obey.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
#: What shells say of a command that SIGINT or SIGPIPE ended.
INTERRUPTED, PIPE_CLOSED = 130, 141

#: Each command's module and its line of help, so that `consent --help` imports none of them.
COMMANDS = {
    "init": ("cli.init", "Create the ledger."),
    "terms": ("cli.terms", "Publish terms, list them, show one."),
    "record": ("cli.record", "Record that somebody was shown terms, accepted, or changed a toggle."),
    "import": ("cli.import_", "Import events from JSON Lines."),
    "restore": ("cli.restore", "Fill an empty ledger with the entries of a whole export."),
    "identities": ("cli.identities", "Export and import who the subjects are, to move a ledger."),
    "simulate": ("cli.simulate", "Make a synthetic population live through a change of terms."),
    "status": ("cli.status", "What is on for a person, since when, and by what decision."),
    "check": ("cli.check", "May this item be used? One verdict."),
    "filter": ("cli.filter", "The gate: split items into what a run may use and what not, and record the uses."),
    "replay": ("cli.replay", "History, event by event, with the state after each."),
    "projections": ("cli.projections", "List, rebuild, verify and add up the projections."),
    "subscribe": ("cli.subscribe", "Follow a projection: a snapshot, then its tail."),
    "relay": ("cli.relay", "Publish projections to NATS JetStream, as CloudEvents."),
    "export": ("cli.export", "Export the trail of events."),
    "checkpoint": ("cli.checkpoint", "Bring tree and map up to date, sign, and print the checkpoint."),
    "sequence": ("cli.sequence", "Sign a checkpoint every few seconds, whenever there is anything new."),
    "prove": ("cli.prove", "Write a proof that verifies without the ledger: a person's bundle, an entry, an item."),
    "verify": ("cli.verify", "Whether files of proofs hold; without a ledger, without network."),
    "tiles": ("cli.tiles", "Write the log as files, to be served by any file server."),
    "keys": ("cli.keys", "Show the log's keys, rotate and retire them."),
    "audit": ("cli.audit", "Replay the whole log and compare all that was said of it."),
    "serve": ("cli.serve", "Serve the ledger over HTTP, with the sequencer and the projections beside it."),
    "tokens": ("cli.tokens", "Make, list and revoke the tokens by which programs ask the service."),
    "erase": ("cli.erase", "Erase a person: the links and evidence go, the proofs stay."),
    "witness": ("cli.witness", "Run a witness: cosign checkpoints that extend the last."),
    "doctor": ("cli.doctor", "Look the ledger over, and say what is wrong."),
}


class Commands(click.Group):
    """The commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--ledger", metavar="URL", help="postgresql://… or a directory. Default: $CONSENT_LEDGER, ./consent-ledger."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output, and nothing else there.")
@click.version_option(package_name="consent-ledger", message="%(version)s")
@click.pass_context
def consent(ctx: click.Context, ledger: str | None, as_json: bool) -> None:
    """The system of record for consent to training: what people allowed, what was used, and the proof."""
    ctx.obj = Session(ledger, as_json)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """One command, to its exit status: 0 done or permitted, 1 no, 2 wrong usage, 3 ledger or input unusable."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be text; what replaces it is an escape that JSON has too.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        answer = consent.main(arguments, prog_name="consent", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else DONE
    except click.exceptions.NoArgsIsHelpError as help_asked:
        click.echo(help_asked.format_message(), err=True)
        return WRONG_USAGE
    except click.ClickException as error:
        _say(error.format_message())
        return WRONG_USAGE
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("interrupted; run the same command again to go on")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us stopped; the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except ConsentLedgerError as error:
        _say(str(error))
        return status_of(error)
    except Exception as error:
        if os.environ.get("CONSENT_DEBUG"):
            raise
        _say(
            f"expected to get through, found {type(error).__name__}: {_first_line(error)}; "
            "set CONSENT_DEBUG=1 to see where, and report it"
        )
        return UNUSABLE


def status_of(error: ConsentLedgerError) -> int:
    """The exit status that an error means."""
    if isinstance(error, Refused):
        return NO
    return WRONG_USAGE if isinstance(error, InvalidInput) else UNUSABLE


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _say(sentence: str) -> None:
    """On one line, whatever was given: click lists choices on several, and a file's name may hold anything."""
    click.echo(f"consent: {' '.join(sentence.split()).translate(_CONTROLS)}", err=True)


if __name__ == "__main__":
    main()
