"""How figures are judged, and how profiles name things."""

import pathlib
import tempfile
import unittest

from bench import baseline, heap, stacks
from bench.figures import Figure, Line, table

MORE = Figure("a", "per second", more=True, ratio_aim=0.9)
LESS = Figure("b", "KB", aim=4)


class Aims(unittest.TestCase):
    def test_the_median_of_the_passes_is_judged(self):
        self.assertTrue(Line("run", MORE, floors=[10, 10, 10], values=[9, 5, 9.5]).met())
        self.assertFalse(Line("run", MORE, floors=[10, 10, 10], values=[8, 5, 9.5]).met())

    def test_less_can_be_better(self):
        self.assertTrue(Line("run", LESS, values=[3.9]).met())
        self.assertFalse(Line("run", LESS, values=[4.1]).met())

    def test_without_aim_nothing_is_met_or_missed(self):
        self.assertIsNone(Line("run", Figure("c", "ms"), values=[1]).met())

    def test_the_table_shows_median_range_and_aim(self):
        row = table([Line("run", MORE, floors=[10, 10], values=[9, 10])]).splitlines()[-1]
        self.assertEqual(row, "| run | per second | 10 | 9.50 (9–10) | 0.95 (0.90–1) | ≥ 0.9 × floor | yes |")


class Baseline(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "baseline.json"
        # A range of 0.06 in two passes is a deviation of 0.053, so 0.16 is tolerated.
        baseline.write(self.path, [Line("run", MORE, floors=[1, 1], values=[0.97, 1.03])])

    def worse_and_better(self, value: float) -> tuple[int, int]:
        worse, better = baseline.compare(self.path, [Line("run", MORE, floors=[1], values=[value])])
        return len(worse), len(better)

    def test_noise_is_tolerated_and_more_is_not(self):
        self.assertEqual(self.worse_and_better(0.85), (0, 0))
        self.assertEqual(self.worse_and_better(0.83), (1, 0))
        self.assertEqual(self.worse_and_better(1.17), (0, 1))

    def test_figures_of_other_runs_are_kept(self):
        baseline.write(self.path, [Line("other", LESS, values=[3, 3])])
        self.assertEqual(len(baseline.read(self.path)), 2)

    def test_the_first_allocation_fails_where_there_was_none(self):
        count = Figure("n", "allocations", tolerance=0)
        baseline.write(self.path, [Line("run", count, values=[0, 0])])
        self.assertEqual(len(baseline.compare(self.path, [Line("run", count, values=[0.001])])[0]), 1)


class Profiles(unittest.TestCase):
    def test_heap_names_lose_their_types(self):
        self.assertEqual(heap.name("poll<a::B<c::D>, e>"), "poll")
        self.assertEqual(heap.name("{async_fn_env#0}"), "{async_fn}")

    def test_a_stack_is_cut_at_scheduler_and_system_call(self):
        stack = ["start_thread", "tokio::runtime::scheduler::multi_thread::worker::run", "own::work", "__send",
                 "kernel`entry_SYSCALL_64_after_hwframe", "kernel`do_syscall_64", "kernel`__x64_sys_sendto",
                 "kernel`tcp_sendmsg"]
        stack = stacks.with_system_call(stack)
        self.assertEqual(stacks.trimmed(stack), ["own::work", "__send", "syscall sendto"])
        self.assertEqual(stacks.group(stack), "syscall sendto")


if __name__ == "__main__":
    unittest.main()
