#include "role/chaos_spec.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace dtrain::role {
namespace {

using Action = Fault::Action;
using Role = wire::Role;

constexpr std::array actions{Action::kill,      Action::stop, Action::delay, Action::drop,
                             Action::duplicate, Action::cut,  Action::disk};
constexpr double most_seconds = 3600;
constexpr std::int64_t most_messages = 1'000'000;

/// One item, read from left to right.
struct Reading {
  std::string item;  ///< as given
  std::size_t number;

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    fail(Kind::usage, "--chaos: item {}, '{}': {}", number, item, fmt::format(text, std::forward<Args>(args)...));
  }
};

/// Takes a word up to one of `ends` off the front.
std::string_view take_word(std::string_view& text, std::string_view ends) {
  const std::string_view word = text.substr(0, text.find_first_of(ends));
  text.remove_prefix(word.size());
  return word;
}

/// Takes `mark` and the word behind it off the front, if they are there.
std::optional<std::string_view> take_after(std::string_view& text, char mark, std::string_view ends) {
  if (text.empty() || text.front() != mark) return std::nullopt;
  text.remove_prefix(1);
  return take_word(text, ends);
}

Action read_action(const Reading& at, std::string_view word) {
  std::vector<std::string> known;
  for (const Action action : actions) {
    if (word == name(action)) return action;
    known.emplace_back(name(action));
  }
  const auto meant = nearest(word, known);
  at.refuse("there is no fault '{}'{}; there are {}", word, meant ? fmt::format(", did you mean {}?", *meant) : "",
            join(known, ", "));
}

void read_who(const Reading& at, std::string_view word, Fault& fault) {
  const std::string_view role = take_word(word, ".");
  if (role == "coordinator" && word.empty()) {
    fault.role = Role::coordinator, fault.rank = 0;
    return;
  }
  if (role != "worker" && role != "server")
    at.refuse("'{}' is nobody: say worker, worker.1, worker.*, server.0 or coordinator", role);
  fault.role = role == "worker" ? Role::worker : Role::server;
  const auto rank = take_after(word, '.', {});
  if (!rank || *rank == "?") return;
  const auto number = parse_integer(*rank);
  if (*rank != "*" && (!number || *number < 0 || *number > 1'000'000))
    at.refuse("'{}' is no rank: say {}.0, {}.* for all of them or {}.? for one that is drawn", *rank, role, role, role);
  fault.rank = *rank == "*" ? Fault::every : static_cast<int>(*number);
}

void read_when(const Reading& at, std::string_view word, Fault& fault) {
  if (word.starts_with('~')) {
    const auto probability = parse_number(word.substr(1));
    if (!probability || *probability <= 0 || *probability > 1)
      at.refuse("'{}' is no probability a step: say ~0.01, above 0 and at most 1", word);
    fault.probability = *probability;
    return;
  }
  const auto step = parse_integer(word);
  if (!step || *step < 1)
    at.refuse("'{}' is no step: steps count from 1; @40, or @~0.01 for a probability a step", word);
  fault.step = static_cast<std::uint64_t>(*step);
}

Seconds read_time(const Reading& at, std::string_view word) {
  const auto quantity = parse_quantity(word);
  const double unit = !quantity                ? 0
                      : quantity->unit == "us" ? 1e-6
                      : quantity->unit == "ms" ? 1e-3
                      : quantity->unit == "s"  ? 1
                                               : 0;
  if (unit == 0 || quantity->value <= 0 || quantity->value * unit > most_seconds)
    at.refuse("'{}' is no time to keep messages for: say 20ms or 1s, at most {:.0f} s", word, most_seconds);
  return Seconds(quantity->value * unit);
}

void read_how(const Reading& at, std::string_view word, Fault& fault) {
  if (fault.action == Action::delay) {
    fault.delay = read_time(at, word);
    return;
  }
  if (fault.action != Action::drop && fault.action != Action::duplicate)
    at.refuse("{} takes no ':{}'; a time goes with delay, a count with drop and duplicate", name(fault.action), word);
  const auto count = parse_integer(word);
  if (!count || *count < 1 || *count > most_messages)
    at.refuse("'{}' is no count of messages: say 1 to {}", word, most_messages);
  fault.count = static_cast<int>(*count);
}

void check_pair(const Reading& at, const Fault& fault) {
  const bool coordinator = fault.role == Role::coordinator;
  if (fault.action == Action::disk && !coordinator)
    at.refuse("checkpoints are written by the coordinator: say disk or disk@2, without anybody");
  if (coordinator && fault.action != Action::kill && fault.action != Action::disk)
    at.refuse("the coordinator can only be killed, or find its disk full: for {} name a worker or a server",
              name(fault.action));
}

Fault read_fault(const Reading& at) {
  std::string_view rest = at.item;
  Fault fault;
  fault.action = read_action(at, take_word(rest, ":@"));
  if (fault.action == Action::disk) fault.role = Role::coordinator, fault.rank = 0, fault.step = 1;
  if (const auto who = take_after(rest, ':', "@:")) read_who(at, *who, fault);
  if (const auto when = take_after(rest, '@', ":")) fault.step = 0, read_when(at, *when, fault);
  if (const auto how = take_after(rest, ':', {})) read_how(at, *how, fault);
  if (!rest.empty()) at.refuse("nothing is known of '{}': an item is ACTION:WHO@WHEN:HOW", rest);
  check_pair(at, fault);
  return fault;
}

std::uint64_t read_seed(const Reading& at) {
  const std::string word = at.item.substr(at.item.find('=') + 1);
  const auto seed = parse_integer(word);
  if (!seed || *seed < 0) at.refuse("'{}' is no seed: say seed=7", word);
  return static_cast<std::uint64_t>(*seed);
}

std::string who_text(const Fault& fault) {
  if (fault.role == Role::coordinator) return wire::name(fault.role);
  const std::string rank = fault.rank == Fault::every   ? "*"
                           : fault.rank == Fault::drawn ? "?"
                                                        : std::to_string(fault.rank);
  return fmt::format("{}.{}", wire::name(fault.role), rank);
}

/// Draws that are not faults.inject's: their third index is never 0.
std::uint32_t lane_of(const Fault& fault) {
  const std::string text = to_text(fault);
  return static_cast<std::uint32_t>(fast_hash(std::as_bytes(std::span(text.data(), text.size())))) | 1u;
}

double chance(std::uint64_t seed, std::uint32_t index, std::uint64_t step, std::uint32_t lane) {
  const Block bits = draw(seed, Purpose::fault, index, step, lane);
  return unit(bits[0], bits[1]);
}

std::uint64_t one_of(std::uint64_t seed, std::uint32_t index, std::uint32_t lane, std::uint64_t count) {
  return std::min(count - 1, static_cast<std::uint64_t>(chance(seed, index, 0, lane) * static_cast<double>(count)));
}

void resolve_fault(const Reading& at, Fault& fault, const Cast& cast, std::uint64_t seed) {
  const bool on_wire = fault.action != Action::kill && fault.action != Action::stop && fault.action != Action::disk;
  if (cast.alone && on_wire) at.refuse("this run is one process: there are no messages and no connections");
  const auto number = static_cast<std::uint32_t>(at.number);
  const std::uint32_t lane = lane_of(fault);
  if (fault.role != Role::coordinator) {
    const int members = fault.role == Role::worker ? cast.workers : cast.servers;
    if (members == 0) at.refuse("this run has no {}s", wire::name(fault.role));
    if (fault.rank >= members)
      at.refuse("there is no {} {}: this run has {} to {}", wire::name(fault.role), fault.rank, 0, members - 1);
    if (fault.rank == Fault::drawn)
      fault.rank = static_cast<int>(one_of(seed, 2 * number, lane, static_cast<std::uint64_t>(members)));
  }
  if (fault.step == 0 && fault.probability == 0)
    fault.step =
        1 + one_of(seed, 2 * number + 1, lane, static_cast<std::uint64_t>(std::max<std::int64_t>(1, cast.steps)));
}

}  // namespace

const char* name(Action action) {
  switch (action) {
    case Action::kill: return "kill";
    case Action::stop: return "stop";
    case Action::delay: return "delay";
    case Action::drop: return "drop";
    case Action::duplicate: return "duplicate";
    case Action::cut: return "cut";
    case Action::disk: return "disk";
  }
  return "unknown";
}

ChaosSpec parse_chaos(std::string_view text) {
  ChaosSpec spec;
  std::size_t number = 0;
  for (const std::string& item : split(text, ',')) {
    const Reading at{std::string(trim(item)), ++number};
    if (at.item.empty()) at.refuse("is empty: say for example kill:worker.1@40,seed=7");
    if (at.item.starts_with("seed=")) {
      if (spec.seed) at.refuse("the seed is given twice");
      spec.seed = read_seed(at);
    } else {
      spec.faults.push_back(read_fault(at));
    }
  }
  return spec;
}

std::string to_text(const Fault& fault) {
  std::string text = fmt::format("{}:{}", name(fault.action), who_text(fault));
  if (fault.probability > 0)
    text += "@~" + shortest(fault.probability);
  else if (fault.step > 0)
    text += "@" + std::to_string(fault.step);
  if (fault.action == Action::delay) text += ":" + shortest(fault.delay.count()) + "s";
  if (fault.count != 1) text += ":" + std::to_string(fault.count);
  return text;
}

std::string to_text(const ChaosSpec& spec) {
  std::vector<std::string> items;
  for (const Fault& fault : spec.faults) items.push_back(to_text(fault));
  if (spec.seed) items.push_back("seed=" + std::to_string(*spec.seed));
  return join(items, ",");
}

ChaosSpec resolve(ChaosSpec spec, const Cast& cast) {
  spec.seed = spec.seed.value_or(cast.seed);
  std::size_t number = 0;
  for (Fault& fault : spec.faults) resolve_fault({to_text(fault), ++number}, fault, cast, *spec.seed);
  return spec;
}

FaultClock::FaultClock(const ChaosSpec& spec, wire::Role role, int rank, int life)
    : seed_(spec.seed.value_or(0)), role_(role), rank_(rank), life_(life) {
  for (const Fault& fault : spec.faults)
    if (fault.role == role && (fault.rank == rank || fault.rank == Fault::every)) faults_.push_back(fault);
}

bool FaultClock::has(Action action) const {
  return std::any_of(faults_.begin(), faults_.end(), [action](const Fault& fault) { return fault.action == action; });
}

std::vector<Fault> FaultClock::begin(std::uint64_t step) {
  const std::uint64_t number = step + 1;
  if (begun_ && number <= *begun_) return {};
  const std::uint64_t first = begun_ ? *begun_ + 1 : number;
  begun_ = number;
  std::vector<Fault> due;
  for (const Fault& fault : faults_)
    if (this->due(fault, number, first)) due.push_back(fault);
  return due;
}

bool FaultClock::due(const Fault& fault, std::uint64_t number, std::uint64_t first) const {
  if (fault.probability == 0) return first <= fault.step && fault.step <= number;
  const std::uint32_t who = static_cast<std::uint32_t>(role_) << 24 | static_cast<std::uint32_t>(rank_);
  const std::uint64_t when = static_cast<std::uint64_t>(life_) << 32 | (number & 0xffffffff);
  return chance(seed_, who, when, lane_of(fault)) < fault.probability;
}

}  // namespace dtrain::role
