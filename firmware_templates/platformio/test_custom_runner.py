"""Reads what the self-test says, in the form of the Test Anything Protocol; so PlatformIO needs no test library from its registry."""

from __future__ import annotations

import re

import click
from platformio.test.exception import UnitTestError
from platformio.test.result import TestCase, TestStatus
from platformio.test.runners.base import TestRunnerBase

RESULT = re.compile(r"(not )?ok \d+ - ([^:]+): (.*)")
PLAN = re.compile(r"1\.\.(\d+)")  # the last line


class CustomTestRunner(TestRunnerBase):
    """The name is PlatformIO's."""

    def stage_testing(self) -> None:
        """A program that has told all its results may end as it likes; one that has not has failed."""
        if self.options.without_testing:
            return
        try:
            super().stage_testing()
        except UnitTestError:
            if not self.test_suite.is_finished():
                raise
        if not self.test_suite.is_finished():
            raise UnitTestError("The self-test ended before it had told all its results")

    def on_testing_line_output(self, line: str) -> None:
        """One line of the program."""
        result, plan = RESULT.match(line), PLAN.match(line)
        if result:
            case = TestCase(result[2], TestStatus.FAILED if result[1] else TestStatus.PASSED, message=result[3].strip(), stdout=line)
            self.test_suite.add_case(case)
            click.echo(case.humanize())
        elif plan and int(plan[1]) == len(self.test_suite.cases):
            self.test_suite.on_finish()
        else:
            click.echo(line, nl=False)
