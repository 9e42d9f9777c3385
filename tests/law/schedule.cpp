#include "law/schedule.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "law/world.hpp"

#include "job/catalogue.hpp"

namespace dtrain::law {
namespace {

using What = Happening::What;

constexpr std::size_t wild_events = 120;  ///< after which ranks only do what they owe
constexpr std::size_t most_events = 4000;
constexpr int last_events = 12;  ///< when all steps are done

/// Options that fit so many ranks.
job::Sync draw_sync(Chance& chance, job::PolicyName name, std::size_t ranks) {
  job::Sync sync;
  sync.policy = name;
  sync.staleness = static_cast<std::int64_t>(chance.below(6));
  sync.eager = chance.one_in(2);
  sync.quorum = 1 + static_cast<std::int64_t>(chance.below(ranks));
  sync.size = 1 + static_cast<std::int64_t>(chance.below(ranks));
  sync.period = 1 + static_cast<std::int64_t>(chance.below(6));
  sync.adapt = chance.one_in(2) ? job::Adapts::staleness : job::Adapts::period;
  sync.low = static_cast<std::int64_t>(chance.below(4));
  sync.high = sync.low + static_cast<std::int64_t>(chance.below(8));
  return sync;
}

/// Where ranks may stand when a run goes on: in one step or block, or no further apart than allowed.
std::vector<Clock> draw_clocks(Chance& chance, const Schedule& setting, std::size_t ranks, Clock start) {
  const job::Sync& sync = setting.sync;
  Clock width = 1;
  if (sync.policy == job::PolicyName::asp || sync.policy == job::PolicyName::easgd) width = 5;
  if (sync.policy == job::PolicyName::ssp) width = static_cast<Clock>(sync.staleness) + 1;
  if (sync.policy == job::PolicyName::adaptive && sync.adapt == job::Adapts::staleness)
    width = static_cast<Clock>(sync.low) + 1;
  if ((sync.policy == job::PolicyName::local || sync.policy == job::PolicyName::bmuf) &&
      start >= setting.single_until) {
    width = static_cast<Clock>(sync.period);
    start -= (start - setting.single_until) % width;
  }
  std::vector<Clock> clocks;
  for (std::size_t r = 0; r < ranks; ++r) clocks.push_back(start + chance.below(width));
  return clocks;
}

Happening draw_push(Chance& chance) {
  Happening out;
  out.rows = chance.one_in(5) ? 0 : 1 + chance.below(100);
  out.loss = static_cast<double>(1 + chance.below(20)) / 4;
  out.pause = static_cast<double>(chance.below(8)) / 2;
  return out;
}

/// What happens next, for all that has happened so far.
Happening draw_next(Chance& chance, const World& world, bool wild) {
  const std::vector<Rank> owing = world.where([&](Rank rank) { return world.owes(rank); });
  const std::vector<Rank> active = world.where([&](Rank rank) { return world.is_active(rank); });
  const std::vector<Rank> all = world.where([](Rank) { return true; });
  Happening next = draw_push(chance);
  const auto as = [&next](What what, Rank rank) { return next.what = what, next.rank = rank, next; };
  next.keep = chance.one_in(2);
  next.shift = static_cast<int>(chance.below(7)) - 3;
  if (active.empty()) return as(What::join, chance.of(all));
  const std::uint64_t kind = owing.empty() ? chance.below(7) : wild ? chance.below(60) : 60;
  if (kind == 0) return as(What::lose, chance.of(active));
  if (kind == 1) return as(What::undo, chance.of(active));
  if (kind <= 3) return as(What::join, chance.of(all));
  if (kind <= 12) return as(What::stray, chance.of(all));
  if (kind <= 15) return next.shift = 0, as(What::stray, chance.of(all));
  return as(What::owed, chance.of(owing));
}

std::string words(const Happening& happening) {
  const Rank rank = happening.rank;
  switch (happening.what) {
    case What::owed: return fmt::format("push({}, rows {})", rank, happening.rows);
    case What::stray: return fmt::format("stray({}, {:+})", rank, happening.shift);
    case What::lose: return fmt::format("lose({}, {})", rank, happening.keep ? "kept" : "forgotten");
    case What::join: return fmt::format("join({})", rank);
    case What::undo: return fmt::format("undo({})", rank);
  }
  return {};
}

/// Takes a candidate if it still fails.
bool try_instead(Story& story, Schedule candidate, const Maker& maker) {
  std::string why = replay(candidate, maker);
  if (why.empty()) return false;
  story = {std::move(candidate), std::move(why)};
  return true;
}

bool drop_events(Story& story, const Maker& maker) {
  bool dropped = false;
  for (std::size_t size = story.schedule.happenings.size(); size > 0; size /= 2)
    for (std::size_t begin = 0; begin < story.schedule.happenings.size();) {
      Schedule candidate = story.schedule;
      auto& list = candidate.happenings;
      const auto from = list.begin() + static_cast<std::ptrdiff_t>(begin);
      list.erase(from, from + static_cast<std::ptrdiff_t>(std::min(size, list.size() - begin)));
      if (try_instead(story, std::move(candidate), maker))
        dropped = true;
      else
        begin += size;
    }
  return dropped;
}

bool drop_step(Story& story, const Maker& maker) {
  Schedule candidate = story.schedule;
  const Clock farthest = *std::max_element(candidate.clocks.begin(), candidate.clocks.end());
  return --candidate.total_steps > farthest && try_instead(story, std::move(candidate), maker);
}

/// The ranks behind it move up.
bool drop_rank(Story& story, Rank gone, const Maker& maker) {
  Schedule candidate = story.schedule;
  const auto is_gone = [gone](Rank rank) { return rank == gone; };
  const auto move_up = [gone](Rank& rank) { rank -= rank > gone ? 1 : 0; };
  candidate.clocks.erase(candidate.clocks.begin() + gone);
  std::erase_if(candidate.absent, is_gone);
  std::erase_if(candidate.happenings, [&](const Happening& happening) { return is_gone(happening.rank); });
  for (Rank& rank : candidate.absent) move_up(rank);
  for (Happening& happening : candidate.happenings) move_up(happening.rank);
  const auto ranks = static_cast<std::int64_t>(candidate.clocks.size());
  candidate.sync.quorum = std::min(*candidate.sync.quorum, ranks);
  candidate.sync.size = std::min(*candidate.sync.size, ranks);
  if (candidate.absent.size() == candidate.clocks.size()) return false;
  return try_instead(story, std::move(candidate), maker);
}

bool drop_ranks(Story& story, const Maker& maker) {
  bool dropped = false;
  for (auto rank = static_cast<Rank>(story.schedule.clocks.size()) - 1; rank >= 0; --rank)
    dropped = drop_rank(story, rank, maker) || dropped;
  return dropped;
}

}  // namespace

const std::vector<job::PolicyName> all_policies = {
    job::PolicyName::bsp,      job::PolicyName::asp,      job::PolicyName::ssp,   job::PolicyName::quorum,
    job::PolicyName::subset,   job::PolicyName::local,    job::PolicyName::easgd, job::PolicyName::bmuf,
    job::PolicyName::adaptive, job::PolicyName::sign_vote};

sync::Setup Schedule::setup() const {
  const bool goes_on = sync.policy == job::PolicyName::adaptive && sync.adapt == job::Adapts::period;
  const std::vector<double> memory = {0, static_cast<double>(sync.period), static_cast<double>(clocks.front())};
  return {.seed = seed,
          .total_steps = total_steps,
          .single_until = single_until,
          .clocks = clocks,
          .memory = goes_on ? memory : std::vector<double>(),
          .absent = absent};
}

std::unique_ptr<sync::Policy> make(const Schedule& schedule) {
  return sync::make_policy(schedule.sync, schedule.setup());
}

Schedule draw_setting(std::uint64_t seed, job::PolicyName policy) {
  Chance chance(seed);
  Schedule out;
  out.seed = seed;
  const std::size_t ranks = chance.one_in(50) ? 64 : 1 + chance.below(8);
  out.sync = draw_sync(chance, policy, ranks);
  const Clock start = chance.below(3) * chance.below(1000) + (chance.one_in(20) ? Clock{1} << 33 : 0);
  if (policy == job::PolicyName::local && chance.one_in(2))
    out.single_until = start - std::min<Clock>(start, 5) + chance.below(12);
  out.clocks = draw_clocks(chance, out, ranks, start);
  out.total_steps = *std::max_element(out.clocks.begin(), out.clocks.end()) + 1 + chance.below(ranks > 8 ? 3 : 20);
  for (Rank rank = 1; chance.one_in(5) && rank < static_cast<Rank>(ranks); ++rank) out.absent.push_back(rank);
  return out;
}

std::string replay(const Schedule& schedule, const Maker& maker) {
  World world(schedule, maker);
  for (const Happening& happening : schedule.happenings)
    if (std::string why = world.happen(happening); !why.empty()) return why;
  return {};
}

Story explore(Schedule setting, const Maker& maker) {
  Chance chance(setting.seed + 1);
  World world(setting, maker);
  setting.happenings.clear();
  for (int left = last_events; left > 0 && setting.happenings.size() < most_events; left -= world.is_over() ? 1 : 0) {
    setting.happenings.push_back(draw_next(chance, world, setting.happenings.size() < wild_events));
    if (std::string why = world.happen(setting.happenings.back()); !why.empty()) return {setting, why};
  }
  if (setting.happenings.size() == most_events) return {setting, "it never ends"};
  return {setting, ""};
}

Story shrink(Story story, const Maker& maker) {
  while (drop_events(story, maker) || drop_ranks(story, maker) || drop_step(story, maker)) {
  }
  return story;
}

std::string describe(const Schedule& schedule) {
  std::string out = fmt::format("DTRAIN_LAW_POLICY={} DTRAIN_LAW_SEED={}: {}, ranks from clock {}",
                                job::policy_name(schedule.sync.policy), schedule.seed, sync::spec(schedule.sync),
                                fmt::join(schedule.clocks, " "));
  if (!schedule.absent.empty()) out += fmt::format(", {} absent", fmt::join(schedule.absent, " "));
  if (schedule.single_until > 0) out += fmt::format(", single until {}", schedule.single_until);
  out += fmt::format(", to {}:", schedule.total_steps);
  for (const Happening& happening : schedule.happenings) out += " " + words(happening);
  return out;
}

std::string tell(const Story& story) { return describe(story.schedule) + "\n  " + story.why; }

std::optional<std::uint64_t> chosen_seed() {
  const char* given = std::getenv("DTRAIN_LAW_SEED");
  if (given == nullptr) return std::nullopt;
  return std::strtoull(given, nullptr, 10);
}

bool is_chosen(job::PolicyName policy) {
  const char* given = std::getenv("DTRAIN_LAW_POLICY");
  return given == nullptr || std::string(given) == job::policy_name(policy);
}

}  // namespace dtrain::law
