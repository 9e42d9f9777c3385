#include "role/chaos.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "role/link.hpp"

namespace dtrain::role {

using Action = Fault::Action;

void end_or_stop(Action action) { ::kill(::getpid(), action == Action::kill ? SIGKILL : SIGSTOP); }

void Chaos::begin_step(std::uint64_t step) {
  if (std::exchange(delaying_, false)) link_.delay_data(Seconds(0));
  for (const Fault& fault : faults_.begin(step)) suffer(fault, step);
}

void Chaos::suffer(const Fault& fault, std::uint64_t step) {
  const bool ends = fault.action == Action::kill || fault.action == Action::stop;
  const Log log(Level::normal, link_.name() + ": ");
  log.warn("--chaos: {} at step {}", to_text(fault), step + 1);
  link_.confess({to_text(fault), step, ends});
  switch (fault.action) {
    case Action::kill:
    case Action::stop: return end_or_stop(fault.action);
    case Action::delay: delaying_ = true; return link_.delay_data(fault.delay);
    case Action::drop: mischief_.drop += fault.count; return;
    case Action::duplicate: mischief_.duplicate += fault.count; return;
    case Action::cut: link_.cut_data(); return;
    case Action::disk: return;
  }
}

ChaosBook::Life& ChaosBook::life_of(wire::Role role, int rank) {
  for (Life& life : lives_)
    if (life.role == role && life.rank == rank) return life;
  return lives_.emplace_back(Life{role, rank, 0, {}});
}

std::string ChaosBook::begin_life(wire::Role role, int rank, int& number) {
  Life& life = life_of(role, rank);
  number = life.lives++;
  ChaosSpec rest{{}, spec_.seed};
  for (const Fault& fault : spec_.faults) {
    if (fault.role != role || (fault.rank != rank && fault.rank != Fault::every)) continue;
    const bool done = std::find(life.done.begin(), life.done.end(), to_text(fault)) != life.done.end();
    if (fault.probability > 0 || !done) rest.faults.push_back(fault);
  }
  return rest.faults.empty() ? "" : to_text(rest);
}

void ChaosBook::note_done(wire::Role role, int rank, const std::string& fault) {
  life_of(role, rank).done.push_back(fault);
}

std::vector<std::string> ChaosBook::not_done() const {
  std::vector<std::string> left;
  for (const Fault& fault : spec_.faults) {
    const std::string text = to_text(fault);
    const bool done = std::any_of(lives_.begin(), lives_.end(), [&](const Life& life) {
      return std::count(life.done.begin(), life.done.end(), text) > 0;
    });
    if (fault.step > 0 && !done) left.push_back(text);
  }
  return left;
}

}  // namespace dtrain::role
