#include "cli/recording.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "job/key.hpp"
#include "job/places.hpp"
#include "job/read.hpp"
#include "job/resolve.hpp"

namespace dtrain::cli {
namespace {

/// Keys, or sections of them, on which no weight depends.
bool decides_nothing(const std::string& key) {
  static const std::vector<std::string> idle{"name",
                                             "data.dir",
                                             "data.test",
                                             "train.evaluate",
                                             "topology.external",
                                             "topology.external_servers",
                                             "topology.hosts",
                                             "topology.launch",
                                             "topology.program",
                                             "topology.memory",
                                             "topology.split.schedule",
                                             "checkpoint",
                                             "faults",
                                             "output",
                                             "assert"};
  return std::any_of(idle.begin(), idle.end(),
                     [&](const std::string& section) { return key == section || key.starts_with(section + "."); });
}

struct Difference {
  std::string key, then, now;
};

std::optional<Difference> first_difference(job::Job then, job::Job now) {
  for (const job::Key& key : job::table()) {
    if (decides_nothing(key.list_path().empty() ? key.info.path : key.list_path())) continue;
    if (key.shape == job::Shape::list_of_maps && key.list.size(then) != key.list.size(now))
      return Difference{"the number of " + key.info.path, std::to_string(key.list.size(then)),
                        std::to_string(key.list.size(now))};
    if (!key.get) continue;
    for (std::size_t entry = 0; entry < job::entries_of(key, now); ++entry) {
      const std::string before = key.get(then, entry), after = key.get(now, entry);
      const std::string which = key.in_list() ? fmt::format(" of {}.{}", key.list_path(), entry) : "";
      if (before != after) return Difference{key.info.path + which, before, after};
    }
  }
  return std::nullopt;
}

/// Whether every rank's last exchange is there, where ranks go on by themselves. Of other policies the end tells
/// itself.
bool reaches_end(const sync::Trace& trace, const job::Sync& sync) {
  const sync::Traits traits = sync::traits(sync);
  if (traits.gated) return true;
  std::map<std::pair<int, sync::Rank>, sync::Clock> done;
  for (const sync::Event& event : trace.events)
    if (event.what == sync::Event::What::push) done[{event.server, event.rank}] = event.clock + 1;
  const auto period = traits.weights ? static_cast<sync::Clock>(sync.period) : 1;
  return done.size() == static_cast<std::size_t>(trace.head.servers * trace.head.workers) &&
         std::all_of(done.begin(), done.end(),
                     [&](const auto& rank) { return rank.second + period > trace.head.total_steps; });
}

/// The recording holds the whole of an undisturbed run, and only what its policy allows.
void check_whole(const sync::Trace& trace, const job::Job& then, const std::string& path) {
  if (std::any_of(trace.head.clocks.begin(), trace.head.clocks.end(), [](sync::Clock clock) { return clock > 0; }))
    fail(Kind::usage, "{} was recorded when a run was resumed: only a run from its beginning can be repeated", path);
  if (job::grows(then.topology) || std::any_of(trace.events.begin(), trace.events.end(), [](const sync::Event& event) {
        return event.what == sync::Event::What::join;
      }))
    fail(Kind::usage, "{} tells of a run that workers may join: only one whose workers stay can be repeated", path);
  const auto lost = std::find_if(trace.events.begin(), trace.events.end(),
                                 [](const sync::Event& event) { return event.what == sync::Event::What::lose; });
  if (!trace.head.absent.empty() || lost != trace.events.end())
    fail(Kind::usage, "{} tells of a run that lost worker {}: only an undisturbed run can be repeated", path,
         lost != trace.events.end() ? lost->rank : trace.head.absent.front());
  if (then.sync.policy == job::PolicyName::ssp && then.sync.eager)
    fail(Kind::usage,
         "{} is of a run with sync.eager, whose workers take in fresh weights at moments that no trace tells of: it "
         "cannot be repeated",
         path);
  if (const auto breach = sync::find_breach(trace.head, then.sync, then.seed, trace.events))
    fail(Kind::usage, "{} is no whole recording of {}: {}; dtrain verify trace tells more", path, sync::spec(then.sync),
         breach->why);
  if (!reaches_end(trace, then.sync))
    fail(Kind::usage, "{} is no whole recording of {}: it ends before the run's {} steps are done", path,
         sync::spec(then.sync), trace.head.total_steps);
}

}  // namespace

job::Job job_in(const sync::TraceHead& head, const std::string& path) {
  job::ReadResult read = job::read_job(head.job, "the trace's job");
  if (!read.ok())
    throw Error(Kind::data, Place{path, 1, 0}, "the job in the trace cannot be read:\n" + job::render(read));
  read.job.sync = job::resolve_sync(read.job.sync, head.workers);
  return read.job;
}

std::vector<sync::Event> replay_in(job::Job& job, const std::string& path) {
  if (job.faults.replicas > 0)
    fail(Kind::usage, "a recording is repeated by servers alone, without standbys: --set faults.replicas=0");
  sync::Trace trace = sync::read_trace(path);
  const job::Job then = job_in(trace.head, path);
  if (!job.topology.servers) job.topology.servers = then.topology.servers;
  if (!job.topology.threads) job.topology.threads = then.topology.threads;
  if (!job.train.micro_batches) job.train.micro_batches = then.train.micro_batches;
  job::Job now = job;
  now.sync = job::resolve_sync(job.sync, job.topology.data_ranks());
  if (const auto difference = first_difference(then, now))
    fail(Kind::usage, "{} was {} when {} was recorded, and is {} now: only the same job can be repeated",
         difference->key, difference->then, path, difference->now);
  check_whole(trace, then, path);
  job.faults.on_worker_loss = job::OnWorkerLoss::stop;
  return std::move(trace.events);
}

}  // namespace dtrain::cli
