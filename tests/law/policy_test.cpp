/// Every policy under random schedules: pushes in any order, some twice, some late, some too early, some by ranks that
/// are lost; ranks that are lost, with their push or without; ranks that join; steps that are taken back. After every
/// event the policy's actions are those of a plain oracle, and the trace is one that keeps the promise. What fails is
/// shrunk and printed; DTRAIN_LAW_SEED and DTRAIN_LAW_POLICY play it again.

#include <doctest/doctest.h>

#include "law/world.hpp"

using namespace dtrain;

namespace {

constexpr std::uint64_t schedules = 8000;

}  // namespace

TEST_CASE("every policy keeps its promise under any schedule, and every rank gets through all its steps") {
  std::uint64_t happened = 0;
  for (const job::PolicyName policy : law::all_policies) {
    if (!law::is_chosen(policy)) continue;
    const std::uint64_t first = law::chosen_seed().value_or(1), last = law::chosen_seed().value_or(schedules);
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      const law::Story story = law::explore(law::draw_setting(seed, policy), law::make);
      happened += story.schedule.happenings.size();
      if (story.why.empty()) continue;
      FAIL_CHECK(law::tell(law::shrink(story, law::make)));
      break;
    }
  }
  // That the schedules get anywhere at all.
  if (!law::chosen_seed()) CHECK(happened > 30 * schedules);
}
