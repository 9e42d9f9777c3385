/// verify trace FILE: holds what a run says of itself against what it promised.

#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/recording.hpp"
#include "cli/verbs.hpp"
#include "sync/trace.hpp"

namespace dtrain::cli {
namespace {

struct Counts {
  std::size_t pushes = 0, updates = 0;
};

Counts count(const std::vector<sync::Event>& events) {
  Counts out;
  std::set<std::pair<int, std::uint64_t>> versions;
  for (const sync::Event& event : events) {
    if (event.what == sync::Event::What::push) ++out.pushes;
    if (event.what == sync::Event::What::apply) versions.insert({event.server, event.version});
  }
  out.updates = versions.size();
  return out;
}

std::string number_of(std::size_t n, const char* one, const char* many) {
  return with_commas(static_cast<std::int64_t>(n)) + " " + (n == 1 ? one : many);
}

Json describe(const sync::Trace& trace, const job::Sync& sync) {
  const Counts counts = count(trace.events);
  return {{"policy", sync::spec(sync)},
          {"servers", trace.head.servers},
          {"workers", trace.head.workers},
          {"updates", counts.updates},
          {"pushes", counts.pushes}};
}

std::string summary(const sync::Trace& trace, const job::Sync& sync) {
  const Counts counts = count(trace.events);
  return fmt::format("{}, {}, {}, {}, {}: promise kept\n", sync::spec(sync),
                     number_of(static_cast<std::size_t>(trace.head.servers), "server", "servers"),
                     number_of(static_cast<std::size_t>(trace.head.workers), "worker", "workers"),
                     number_of(counts.updates, "update", "updates"), number_of(counts.pushes, "push", "pushes"));
}

/// Where an event stands in the file: the head is its first line.
int line_of(std::size_t event) { return static_cast<int>(event) + 2; }

std::string told(const sync::Trace& trace, const sync::Breach& breach) {
  if (breach.event == trace.events.size()) return "here the trace ends, but " + breach.why;
  return breach.why + "\n  " + sync::to_line(trace.events[breach.event]);
}

int verify_trace(const Options& options) {
  const sync::Trace trace = sync::read_trace(options.path);
  const job::Job job = job_in(trace.head, options.path);
  const auto breach = sync::find_breach(trace.head, job.sync, job.seed, trace.events);
  if (breach) throw Error(Kind::assertion, Place{options.path, line_of(breach->event), 0}, told(trace, *breach));
  if (options.json)
    print_json(describe(trace, job.sync));
  else
    print(summary(trace, job.sync));
  return 0;
}

}  // namespace

int verify(const Options& options) {
  const bool resume = options.what == "resume";
  if (!resume && (options.at > 0 || !options.set.empty()))
    fail(Kind::usage, "--at and --set go with dtrain verify resume: a trace is of a run that is over");
  if (resume) return verify_resume(options);
  if (options.what == "trace") return verify_trace(options);
  fail(Kind::internal, "verify has nothing to hold a {} against", options.what);
}

}  // namespace dtrain::cli
