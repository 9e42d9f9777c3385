#pragma once
/// Random schedules of what can happen to a policy, as values: they are replayed, shrunk and printed.

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "sync/policy.hpp"

namespace dtrain::law {

using sync::Clock;
using sync::Rank;

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

/// Means the same whatever happened before; where it does not apply, nothing happens.
struct Happening {
  enum class What {
    owed,   ///< the rank pushes what it owes
    stray,  ///< the rank, who may be lost, pushes `shift` clocks beside what it owes or owed last
    lose,
    join,
    undo  ///< the rank is lost, and the last step is taken back for it
  };
  What what{};
  Rank rank = 0;
  std::uint64_t rows = 1;
  int shift = 0;
  bool keep = false;  ///< lose: its push stays in
  double loss = 1, pause = 1;
};

struct Schedule {
  std::uint64_t seed = 1;
  job::Sync sync;
  Clock total_steps = 0, single_until = 0;
  std::vector<Clock> clocks;
  std::vector<Rank> absent;
  std::vector<Happening> happenings;

  sync::Setup setup() const;
};
std::string describe(const Schedule& schedule);

using Maker = std::function<std::unique_ptr<sync::Policy>(const Schedule&)>;
/// The policy that the schedule names.
std::unique_ptr<sync::Policy> make(const Schedule& schedule);

/// Ranks, clocks and options, without happenings.
Schedule draw_setting(std::uint64_t seed, job::PolicyName name);

/// A schedule that was played, and what went wrong at its end: "" if nothing did.
struct Story {
  Schedule schedule;
  std::string why;
};
/// What goes wrong when the schedule is replayed; "" if nothing does.
std::string replay(const Schedule& schedule, const Maker& maker);
/// Lets things happen until every rank has done all its steps, and a little longer.
Story explore(Schedule setting, const Maker& maker);
/// Takes away what is not needed to make it fail.
Story shrink(Story story, const Maker& maker);

/// In words, with what to set to see it again.
std::string tell(const Story& story);

/// DTRAIN_LAW_SEED and DTRAIN_LAW_POLICY: one schedule, one policy.
std::optional<std::uint64_t> chosen_seed();
bool is_chosen(job::PolicyName name);
extern const std::vector<job::PolicyName> all_policies;

}  // namespace dtrain::law
