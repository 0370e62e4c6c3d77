"""The daemon: look, wait until files are whole, hand them to workers, keep the journal current."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime

from dropload.alarms import Alarms
from dropload.audit_lines import AuditLines
from dropload.bookkeeping import Bookkeeper
from dropload.config import NEEDS_RESTART, Config
from dropload.dispatch import Dispatcher
from dropload.dock import Dock
from dropload.errors import NOT_THE_FILES_FAULT, ConfigError
from dropload.expected import ExpectedFiles
from dropload.gate import Gate
from dropload.heartbeat import remove_heartbeat
from dropload.housekeeping import Housekeeper
from dropload.intake import name_drop
from dropload.logs import configure_logs, get_logger
from dropload.model import Drop
from dropload.outage import Outage
from dropload.recovery import Recovered, is_filing_due, settle_claims
from dropload.reserve import DiskReserve
from dropload.returned import Finished
from dropload.rivals import remove_note
from dropload.scanning import Scanner
from dropload.service import ServiceManager
from dropload.settling import Settler
from dropload.telemetry import Telemetry
from dropload.telling import Teller
from dropload.traces import check_traces
from dropload.tree_making import TreeMaker
from dropload.watcher import Watcher

RECOVERY_SECONDS = 30.0
"""How often moves that failed and claims of dead workers are looked after."""
TROUBLE_SECONDS = 60.0
"""How often the journal is asked what is missing, and what goes wrong too often."""


class Daemon:
    """One thread that watches; the loading itself happens in worker processes."""

    def __init__(
        self,
        dock: Dock,
        *,
        until_idle: bool = False,
        clock: Callable[[], float] = time.monotonic,
        read_config: Callable[[], Config] | None = None,
    ) -> None:
        """`read_config` reads the configuration anew when somebody asks for it."""
        config = dock.config
        self._read_config = read_config
        self._dock = dock
        self._until_idle = until_idle
        self._clock = clock
        self._reloading = False
        self._stopping = False
        self._said_ready = False
        self._next_recovery = float("-inf")
        self._next_look_for_trouble = float("-inf")
        self._gate = Gate(config.gate.checks, config.gate.interval_seconds)
        self._watcher = Watcher(dock.tree, events=config.watch.events)
        self._dispatcher = Dispatcher(config, self._watcher.wake, clock)
        self._scanner = Scanner(
            dock, self._gate, self._watcher, lambda: self._dispatcher.is_full, clock
        )
        self._outage = Outage(dock, clock)
        self._manager = ServiceManager()
        self._telemetry = Telemetry(config, dock.target)
        self._tree_maker = TreeMaker()
        self._housekeeper = Housekeeper(dock, clock)
        self._reserve = DiskReserve(dock, clock)
        self._expected = ExpectedFiles(dock)
        self._alarms = Alarms(dock)
        self._books = Bookkeeper(dock)
        self._settler = Settler(
            dock, self._gate, self._dispatcher, self._books, self._outage, clock
        )
        self._teller = Teller(
            dock,
            gate=self._gate,
            scanner=self._scanner,
            dispatcher=self._dispatcher,
            settler=self._settler,
            books=self._books,
            outage=self._outage,
            reserve=self._reserve,
            expected=self._expected,
            clock=clock,
        )
        self._log = get_logger()

    # --- running

    def run(self) -> None:
        """Work until `stop` is called, or, with `until_idle`, until nothing is left to do."""
        self._prepare()
        self._say_watching(self._watcher.start())
        try:
            woken = True
            while not self._stopping:
                self._take_turn_safely(woken=woken)
                if self._until_idle and self._is_idle():
                    self._teller.say_left_undone()
                    break
                woken = self._watcher.wait(self._seconds_to_next_turn())
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Ask the daemon to end; safe in a signal handler, harmless when repeated."""
        self._stopping = True
        self._watcher.wake()

    def reload(self) -> None:
        """Ask the daemon to read its configuration anew; safe in a signal handler."""
        self._reloading = True
        self._watcher.wake()

    def _prepare(self) -> None:
        self._outage.probe(at_once=True)
        self._make_tree()
        self._alarms.start()
        self._log.info(
            "daemon_started",
            dropoff=str(self._dock.tree.root),
            gate=f"{self._gate.checks} x {self._gate.interval_seconds:g} s",
            workers=self._dock.config.workers.count,
        )

    def _make_tree(self) -> None:
        self._tree_maker.make(self._dock, has_database=self._outage.is_over)

    def _shut_down(self) -> None:
        patience = self._dock.config.workers.stop_timeout_seconds
        self._manager.tell_stopping(patience)
        self._watcher.stop()
        if loading := self._dispatcher.running:
            self._log.info("daemon_stopping", loading=loading, at_most_seconds=patience)
        for finished in self._dispatcher.stop(patience):
            self._settle(finished)
        self._alarms.close()
        remove_heartbeat(self._dock.config.state_folder)
        remove_note(self._dock.config)
        self._telemetry.close()
        self._log.info("daemon_stopped")

    def _take_configuration(self) -> None:
        """Go on under the configuration as it is now, as far as that needs no restart."""
        self._reloading = False
        if self._read_config is None:
            return
        self._manager.tell_reloading()
        self._read_and_apply(self._read_config)
        if self._said_ready:
            self._manager.tell_ready(self._teller.state())

    def _read_and_apply(self, read_config: Callable[[], Config]) -> None:
        try:
            config = read_config()
        except ConfigError as exc:
            self._refuse(exc)
            return
        old = self._dock.config
        kept = _find_differing(config, old, NEEDS_RESTART)
        config = config.model_copy(update={name: getattr(old, name) for name in kept})
        changed = _find_differing(config, old, Config.model_fields)
        try:
            configure_logs(config.log)
            self._alarms.check(config)
            check_traces(config)
            AuditLines(config.log).check()
        except ConfigError as exc:
            self._refuse(exc)
            return
        if changed:
            self._apply(config)
            self._books.note_reload(", ".join(changed))
        self._alarms.configure(self._dock)
        self._telemetry.metrics.note_reload(accepted=True)
        self._log.info("configuration_reloaded", changed=changed)
        if kept:
            self._log.warning("restart_needed", sections=kept)

    def _refuse(self, error: ConfigError) -> None:
        self._log.error("configuration_refused", code=error.dl_code, reason=str(error))
        self._telemetry.metrics.note_reload(accepted=False)

    def _apply(self, config: Config) -> None:
        self._telemetry.configure(config)
        self._dock = replace(self._dock, config=config)
        self._dock.target.audit_lines = AuditLines(config.log)
        self._teller.configure(self._dock)
        self._gate.set_pace(config.gate.checks, config.gate.interval_seconds)
        self._scanner.configure(self._dock)
        self._watcher.use_events(config.watch.events)
        self._outage.configure(config.retry)
        self._housekeeper.configure(self._dock)
        self._books.configure(self._dock)
        self._settler.configure(self._dock)
        self._reserve.configure(self._dock)
        self._expected.configure(self._dock)
        self._dispatcher.configure(config)

    # --- one turn

    def _take_turn_safely(self, *, woken: bool) -> None:
        """Take a turn; what nobody foresaw is logged, and the other files get their turns."""
        try:
            self._take_turn(woken=woken)
        except Exception as exc:  # noqa: BLE001 - here and only here
            self._log.exception("turn_failed", reason=str(exc))
            self._teller.turn_problem = f"{type(exc).__name__}: {exc}"
            self._telemetry.metrics.note_turn_failed()
        else:
            self._teller.turn_problem = ""
        self._beat_when_due()

    def _take_turn(self, *, woken: bool) -> None:
        """Collect results, look, offer what is whole, start loads: in this order, one way.

        What was queued before is started before the look, and no worker is idle meanwhile.
        """
        if self._reloading:
            self._take_configuration()
        for finished in self._dispatcher.collect():
            self._teller.note_news()
            self._settle_safely(finished)
        if self._dispatcher.take_broke_off():
            self._next_recovery = float("-inf")
        filed = self._dispatcher.collect_filing()
        if filed is not None:
            self._settle_filing(filed)
        if self._clock() < self._next_recovery:
            self._start_loads()
        if self._scanner.is_due(woken=woken):
            self._look()
            # Before the journal is written, which may take its time with 100,000 new files.
            self._beat_when_due()
        # A look that failed or hangs does not come here, and is due again at once.
        self._tell_alive()
        self._enqueue_put_off()
        if self._outage.probe():
            self._keep_journal()
        self._start_loads()
        if self._outage.is_over:
            self._clean_up()
            self._look_for_trouble_when_due()
        if not self._said_ready:
            # The tree was looked at, and the database has answered or is known to be away.
            self._manager.tell_ready(self._teller.state())
            self._said_ready = True

    def _look(self) -> None:
        drops = self._scanner.look()
        self._telemetry.metrics.note_scan(self._scanner.scan_seconds)
        for drop in drops:
            self._telemetry.metrics.note_whole(drop)
            self._enqueue(drop)
        self._say_watching(self._watcher.ensure_alive())
        self._scanner.say_problems()

    def _enqueue(self, drop: Drop) -> None:
        if not self._dispatcher.add(drop, str(name_drop(drop, self._dock.target).table)):
            # An older version is being loaded: the gate offers this one again afterwards.
            self._gate.reopen(drop.path)

    def _start_loads(self) -> None:
        has_room = self._reserve.has_room()
        if has_room and self._outage.is_over and self._dispatcher.start_loads():
            self._teller.note_news()

    def _enqueue_put_off(self) -> None:
        for drop in self._settler.take_due():
            self._enqueue(drop)

    def _seconds_to_next_turn(self) -> float:
        now = self._clock()
        times = [self._scanner.next_due(), now + self._scanner.seconds_between_turns()]
        times += [late.at for late in self._settler.put_off]
        times.append(now + self._manager.seconds_between_signs)
        if self._housekeeper.is_busy and self._outage.is_over:
            times.append(now)
        return max(0.01, min(times) - now)

    def _is_idle(self) -> bool:
        return (
            self._outage.is_over
            and self._dispatcher.is_at_rest
            and not self._housekeeper.is_busy
            and self._settler.has_given_up
            and self._scanner.scan is not None
            and self._gate.waiting_count == 0
        )

    # --- what came back from a worker

    def _settle_safely(self, finished: Finished) -> None:
        """Settle one drop; what nobody foresaw must not lose it, nor those that come after it."""
        try:
            self._settle(finished)
        except Exception as exc:  # noqa: BLE001 - see above
            self._log.exception("drop_not_settled", reason=str(exc))
            self._settler.repeat_first(finished.drop, finished.table, str(exc))

    def _settle(self, finished: Finished) -> None:
        self._telemetry.note_finished(finished, self._clock())
        self._alarms.note_finished(finished)
        if finished.outcome is None and self._stopping:
            return  # cut off by us: the claim of the dead worker is freed at the next start
        self._settler.settle(finished)

    # --- the journal

    def _keep_journal(self) -> None:
        """Write down what waits, take up what was released, finish what was cut off."""
        try:
            self._books.catch_up(self._scanner.scan)
            for path in self._books.tell_waiting(self._gate):
                self._settler.forget(path)
            self._enqueue_released()
            self._recover_when_due()
        except NOT_THE_FILES_FAULT as exc:
            self._outage.begin(exc)

    def _enqueue_released(self) -> None:
        now = self._clock()
        for drop in self._books.take_released():
            self._enqueue(replace(drop, appeared_at=now, whole_at=now))

    def _recover_when_due(self) -> None:
        if self._clock() < self._next_recovery:
            return
        self._next_recovery = self._clock() + RECOVERY_SECONDS
        if self._tree_maker.problem:
            self._make_tree()
        self._say_recovered(settle_claims(self._dock, self._tell_alive))
        if is_filing_due(self._dock):
            self._dispatcher.start_filing()

    def _tell_alive(self) -> None:
        self._manager.tell_alive(self._teller.state())

    def _settle_filing(self, filed: Recovered) -> None:
        self._say_recovered(filed)
        self._settler.forget_unmoved()

    def _say_recovered(self, done: Recovered) -> None:
        self._telemetry.metrics.note_recovered(done)
        found = {name: number for name, number in asdict(done).items() if number}
        if found.keys() - {"stuck"}:
            self._log.info("recovered", **found)

    def _clean_up(self) -> None:
        """Do a share of the day's cleanup, after everything that somebody waits for."""
        try:
            self._housekeeper.work()
        except NOT_THE_FILES_FAULT as exc:
            self._outage.begin(exc)

    def _look_for_trouble_when_due(self) -> None:
        """Find what is missing or goes wrong too often, after all that somebody waits for."""
        if self._clock() < self._next_look_for_trouble:
            return
        self._next_look_for_trouble = self._clock() + TROUBLE_SECONDS
        try:
            self._expected.look(datetime.now(UTC))
            self._alarms.look_at_journal(self._expected)
        except NOT_THE_FILES_FAULT as exc:
            self._outage.begin(exc)

    def _say_watching(self, message: str | None) -> None:
        if message:
            self._log.warning("watching", message=message)

    def _beat_when_due(self) -> None:
        self._teller.beat_when_due(self._telemetry.metrics, self._alarms)


def _find_differing(config: Config, other: Config, sections: Iterable[str]) -> list[str]:
    """Return the sections in which two configurations are not the same."""
    return [name for name in sections if getattr(config, name) != getattr(other, name)]
