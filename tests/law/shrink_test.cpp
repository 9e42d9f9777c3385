/// That the harness sees: policies that are broken on purpose are caught, and what they do is shrunk to a few events.

#include <doctest/doctest.h>

#include <algorithm>

#include "law/world.hpp"

using namespace dtrain;
using law::Clock;
using law::Rank;
using sync::Actions;
using sync::Verdict;

namespace {

/// Another policy with a fault added to what its pushes lead to.
class Faulty : public sync::Policy {
 public:
  explicit Faulty(const law::Schedule& schedule) : honest_(law::make(schedule)) {}
  Verdict push(const sync::Push& push, Actions& out) override {
    const Verdict verdict = honest_->push(push, out);
    return spoil(push, verdict, out);
  }
  void lose(Rank rank, bool keep, Actions& out) override { honest_->lose(rank, keep, out); }
  void join_from(Rank rank, Clock least, Actions& out) override { honest_->join_from(rank, least, out); }
  Clock entry(Rank rank) const override { return honest_->entry(rank); }
  void undo(Rank lost, Actions& out) override { honest_->undo(lost, out); }
  sync::Release released(Rank rank) const override { return honest_->released(rank); }

 protected:
  virtual Verdict spoil(const sync::Push& push, Verdict verdict, Actions& out) = 0;

 private:
  std::unique_ptr<sync::Policy> honest_;
};

/// Says that a duplicate counts.
class CountsMessages final : public Faulty {
 public:
  using Faulty::Faulty;

 private:
  Verdict spoil(const sync::Push& push, Verdict verdict, Actions& out) override {
    if (verdict == Verdict::taken) return last_ = push.clock, verdict;
    if (last_ != push.clock || push.rows == 0) return verdict;
    out.fold = {push.rank};
    return Verdict::taken;
  }
  std::optional<Clock> last_;
};

/// Lets nobody go but the rank that pushed.
class Strands final : public Faulty {
 public:
  using Faulty::Faulty;

 private:
  Verdict spoil(const sync::Push& push, Verdict verdict, Actions& out) override {
    std::erase_if(out.release, [&](const sync::Release& release) { return release.rank != push.rank; });
    return verdict;
  }
};

/// bsp that folds when all but one have pushed.
class Hasty final : public sync::Policy {
 public:
  explicit Hasty(const law::Schedule& schedule) : step_(schedule.clocks.front()) {
    for (std::size_t r = 0; r < schedule.clocks.size(); ++r) ranks_.push_back(static_cast<Rank>(r));
  }
  Verdict push(const sync::Push& push, Actions& out) override {
    out.clear();
    if (push.clock != step_ || std::count(pushed_.begin(), pushed_.end(), push.rank) > 0) return Verdict::stray;
    pushed_.push_back(push.rank);
    if (pushed_.size() + 1 < ranks_.size()) return Verdict::taken;
    std::sort(pushed_.begin(), pushed_.end());
    out.fold.swap(pushed_);
    ++step_;
    for (const Rank rank : ranks_) out.release.push_back(released(rank));
    return Verdict::taken;
  }
  void lose(Rank /*rank*/, bool /*keep*/, Actions& out) override { out.clear(); }
  void join_from(Rank /*rank*/, Clock /*least*/, Actions& out) override { out.clear(); }
  void undo(Rank /*lost*/, Actions& out) override { out.clear(); }
  sync::Release released(Rank rank) const override { return {rank, step_, step_}; }

 private:
  std::vector<Rank> ranks_, pushed_;
  Clock step_;
};

template <class Broken>
std::unique_ptr<sync::Policy> broken(const law::Schedule& schedule) {
  return std::make_unique<Broken>(schedule);
}

/// The longest of what is left of the schedules of several seeds in which the fault shows; 0 if it shows in none.
std::size_t longest_shrunk(job::PolicyName policy, const law::Maker& maker) {
  std::size_t longest = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    law::Schedule setting = law::draw_setting(seed, policy);
    if (setting.clocks.size() < 2 || setting.clocks.size() > 8 || !setting.absent.empty()) continue;
    setting.clocks.assign(setting.clocks.size(), setting.clocks.front());
    if (policy == job::PolicyName::ssp) setting.sync.staleness = 1;
    const law::Story story = law::explore(setting, maker);
    if (story.why.empty()) continue;
    const law::Story small = law::shrink(story, maker);
    INFO(law::tell(small));
    REQUIRE(law::replay(small.schedule, maker) == small.why);
    REQUIRE(law::replay(small.schedule, law::make).empty());
    longest = std::max(longest, small.schedule.happenings.size());
  }
  return longest;
}

}  // namespace

TEST_CASE("a bsp that does not wait for its last rank is caught within two pushes") {
  const std::size_t longest = longest_shrunk(job::PolicyName::bsp, broken<Hasty>);
  CHECK(longest >= 1);
  CHECK(longest <= 2);
}

TEST_CASE("an asp that counts messages instead of identities is caught within a few events") {
  const std::size_t longest = longest_shrunk(job::PolicyName::asp, broken<CountsMessages>);
  CHECK(longest >= 1);
  CHECK(longest <= 5);
}

TEST_CASE("an ssp that strands whoever waits for the slowest is caught within three") {
  const std::size_t longest = longest_shrunk(job::PolicyName::ssp, broken<Strands>);
  CHECK(longest == 3);
}
