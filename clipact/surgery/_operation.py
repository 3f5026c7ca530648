"""One replacement, all of it or nothing: plan, rewrite, verify, finish."""

from typing import Any, final

from torch import nn

from clipact.errors import SurgeryError
from clipact.surgery._install import finish, install, stand_ins
from clipact.surgery._journal import Journal
from clipact.surgery._plan import Plan, make_plan, shared_plan
from clipact.surgery._programs import Programs, make_programs
from clipact.surgery._record import Recorder
from clipact.surgery._run import Example, run_once
from clipact.surgery._verify import difference

__all__ = ["Operation"]


@final
class Operation:
    """Puts new modules at the sites of a model.

    Args:
        model: The model.
        example: What it runs on.
        kinds: What was recorded.
        recorder: What the model did with the example.
        output: What it gave.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Example,
        kinds: tuple[type, ...],
        recorder: Recorder,
        output: Any,
    ) -> None:
        self._model = model
        self._example = example
        self._kinds = kinds
        self._recorder = recorder
        self._output = output

    def perform(self, chosen: dict[str, nn.Module]) -> tuple[Journal, dict[str, nn.Module]]:
        """Change the model, or leave it as it was and raise.

        Returns:
            The journal, and the module that is now at each site.

        Raises:
            SurgeryError: A container cannot be rewritten, or the rewritten model computes something else.
        """
        if "" in chosen and not self._recorder.calls[""].is_output:
            raise SurgeryError(
                f"the model itself is a {type(self._model).__name__}; put it into an nn.Sequential first"
            )
        plan, programs, chosen = self._plan(chosen)
        journal = Journal()
        try:
            if self._differs(journal, plan, programs):
                journal.undo()
                plan = self._more_faithful(journal, chosen)
            finish(journal, self._model, self._recorder.calls, plan, chosen)
            self._try_out()
        except BaseException:
            journal.undo()
            raise
        return journal, chosen

    def _try_out(self) -> None:
        try:
            run_once(self._model, self._example)
        except Exception as error:
            raise SurgeryError(
                f"with the new modules the model fails on the example: {type(error).__name__}: {error}. It was left as it was"
            ) from error

    def _more_faithful(self, journal: Journal, chosen: dict[str, nn.Module]) -> Plan:
        """Install the plan that also rewrites containers which use what an activation overwrote."""
        plan = make_plan(self._recorder.calls, chosen, rewrite_in_place=True)
        programs, reasons = make_programs(self._model, self._recorder, plan, self._kinds)
        found = self._differs(journal, plan, programs)
        if found:
            raise SurgeryError(_unfaithful(found, programs, reasons))
        return plan

    def _plan(self, chosen: dict[str, nn.Module]) -> tuple[Plan, Programs, dict[str, nn.Module]]:
        """Where containers cannot be rewritten, one module for several calls of one module, if that is the same."""
        calls = self._recorder.calls
        plan = make_plan(calls, chosen)
        programs, reasons = make_programs(self._model, self._recorder, plan, self._kinds)
        if reasons:
            shared = shared_plan(calls, chosen, list(reasons))
            if shared is None:
                raise SurgeryError(_untraceable(reasons))
            chosen, plan = shared, make_plan(calls, shared)
            programs, _ = make_programs(self._model, self._recorder, plan, self._kinds)
        return plan, programs, chosen

    def _differs(self, journal: Journal, plan: Plan, programs: Programs) -> str:
        """Install the plan with the original activations out of place; how the model now differs, if it does."""
        install(journal, self._model, stand_ins(plan, self._recorder.calls), programs)
        if not plan.modules:
            return ""
        return difference(self._model, self._example, self._kinds, self._recorder, self._output)


def _untraceable(reasons: dict[str, str]) -> str:
    return (
        f"cannot give every activation call a module of its own: {'; '.join(reasons.values())}. Leave these sites out with "
        "where=, or use one layer-wise threshold for all calls of a shared module"
    )


def _unfaithful(difference: str, programs: Programs, reasons: dict[str, str]) -> str:
    rewritten = ", ".join(path or "the model" for path in programs) or "no container"
    untraced = f"; not rewritten: {'; '.join(reasons.values())}" if reasons else ""
    return (
        f"with the original activations out of place the model does something else: {difference} (rewritten: {rewritten}"
        f"{untraced}). It was left as it was; leave the sites concerned out with where="
    )
