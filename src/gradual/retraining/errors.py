"""How a retrain ends that goes no further: nothing to do, or refused."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of ``kedro run --pipeline=X_retrain``, for schedules to tell ends apart."""

    DONE = 0
    """Promoted, kept as it was, or nothing new."""
    ERROR = 1
    USAGE = 2
    BROKEN_CONTRACT = 3
    DRIFT = 4
    NOT_PROVED = 5
    LOCKED = 75
    """Another run holds the lock: try again later (EX_TEMPFAIL of sysexits.h)."""
    OUT_OF_TIME = 75


class Stop(Exception):  # noqa: N818 - an end, and not always an error
    """A retrain ends here, as it should: with one line in the log, its own status, no traceback.

    Attributes:
        exit_code: What the process exits with.
        decision: What became of the run, in a word or two: `nothing_new`, `broken_contract`,
            `drift`, `not_proved`, `overtaken`, `out_of_time`, `locked`.
    """

    def __init__(self, message: str, exit_code: ExitCode, decision: str) -> None:
        """Say why, and what to do.

        Args:
            message: A line for the log.
            exit_code: See the attribute.
            decision: See the attribute.
        """
        super().__init__(message, exit_code, decision)  # all of them: another process may raise it
        self.exit_code, self.decision = exit_code, decision

    def __str__(self) -> str:
        return str(self.args[0])
