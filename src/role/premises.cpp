#include "role/premises.hpp"

#include "base/error.hpp"
#include "job/places.hpp"
#include "launch/children.hpp"

namespace dtrain::role {
namespace {

/// What the coordinator holds open itself, and for each role: its process, its log, and connections of control and
/// data.
constexpr std::uint64_t own = 64, of_a_role = 4;

std::uint64_t roles_of(const plan::Plan& plan) {
  const auto standbys = static_cast<int>(plan.job.faults.replicas) * plan.servers;
  return static_cast<std::uint64_t>(plan.servers + standbys + plan.processes() + plan.loaders());
}

void secure_descriptors(const plan::Plan& plan, const Log& log) {
  const std::uint64_t roles = roles_of(plan), needed = own + of_a_role * roles;
  const launch::DescriptorLimit limit = launch::raise_descriptor_limit();
  if (limit.now < needed)
    fail(Kind::environment,
         "a run of {} roles needs {} open files, and this process may have {}: raise the limit (ulimit -n {}), or ask "
         "for fewer roles",
         roles, needed, limit.now, needed);
  if (limit.before < needed)
    log.info("{} roles need {} open files: the limit of {} is raised to {}", roles, needed, limit.before, limit.now);
}

void check_listening(const job::Topology& topology) {
  if (job::grows(topology))
    fail(Kind::usage,
         "the run may grow from {} to {} workers (topology.max_workers): say where they reach us, for example --listen "
         "tcp://127.0.0.1:*",
         topology.data_ranks(), job::places(topology));
  if (const auto outside = topology.external + topology.external_servers; outside > 0)
    fail(Kind::usage,
         "{} of the job's roles join from outside (topology.external, topology.external_servers): say where they "
         "reach us, for example --listen tcp://127.0.0.1:*",
         outside);
}

}  // namespace

void check_premises(const RunRequest& request, const plan::Plan& plan) {
  if (plan.alone()) return;
  if (request.listen.empty()) check_listening(plan.job.topology);
  secure_descriptors(plan, request.log);
}

}  // namespace dtrain::role
