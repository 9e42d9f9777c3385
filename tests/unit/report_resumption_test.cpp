/// What resuming promises.

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "report/resumption.hpp"

using namespace dtrain;
using report::broken_resumption;

namespace {

Json summary(const char* sha256, int steps = 40, double loss = 0.5) {
  return {{"status", "done"}, {"steps", steps}, {"train", {{"loss", loss}}}, {"weights", {{"sha256", sha256}}}};
}

bool contains(const std::optional<std::string>& text, const char* part) {
  return text && text->find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a resumed run with other weights breaks the promise only where equal bits were promised") {
  CHECK_FALSE(broken_resumption(summary("aa"), summary("aa"), true));
  CHECK(contains(broken_resumption(summary("aa"), summary("ab"), true), "ab"));
  CHECK_FALSE(broken_resumption(summary("aa"), summary("ab"), false));
}

TEST_CASE("whatever was promised, a resumed run is done, at the last step, with a loss and weights") {
  for (const bool same : {true, false}) {
    CHECK(contains(broken_resumption(summary("aa"), summary("aa", 39), same), "step 39"));
    CHECK(contains(broken_resumption(summary("aa"), summary("aa", 40, NAN), same), "not finite"));
    CHECK(contains(broken_resumption(summary("aa"), summary(""), same), "no weights"));
    Json stopped = summary("aa");
    stopped["status"] = "stopped";
    CHECK(contains(broken_resumption(summary("aa"), stopped, same), "stopped"));
  }
}

TEST_CASE("the step to kill at lies behind the first checkpoint and before the end, and follows from the seed") {
  std::set<std::int64_t> drawn;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::int64_t step = report::step_to_kill(seed, 30, 50);
    CHECK(step >= 30);
    CHECK(step < 50);
    CHECK(step == report::step_to_kill(seed, 30, 50));
    drawn.insert(step);
    CHECK(report::step_to_kill(seed, 0, 1) == 1);
  }
  CHECK(drawn.size() == 20);
}

TEST_CASE("steps in common resume to the same bits, and what leaves the order of pushes to chance does not") {
  const auto promised = [](job::PolicyName policy, std::int64_t workers) {
    job::Sync sync;
    sync.policy = policy;
    sync.quorum = 2;
    return report::resumes_to_same_bits(sync, workers);
  };
  using Name = job::PolicyName;
  for (const Name policy : {Name::bsp, Name::sign_vote, Name::subset, Name::local, Name::bmuf})
    CHECK(promised(policy, 3));
  for (const Name policy : {Name::asp, Name::ssp, Name::easgd, Name::gossip}) CHECK_FALSE(promised(policy, 3));
  CHECK(promised(Name::quorum, 2));
  CHECK_FALSE(promised(Name::quorum, 3));
  CHECK(promised(Name::asp, 1));
}
