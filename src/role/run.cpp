#include "role/run.hpp"

#include "job/places.hpp"
#include "role/coordinator.hpp"
#include "role/solo.hpp"

namespace dtrain::role {

void prepare_threads(const job::Job& job) {
  const job::Topology& topology = job.topology;
  const bool others = topology.external > 0 || job::grows(topology);
  const bool alone = topology.workers == 1 && topology.servers.value_or(others ? 1 : 0) == 0;
  if (alone && topology.threads.value_or(launch::cores()) > 1) launch::restart_with(launch::spin_count);
}

RunResult run_job(const RunRequest& request) {
  Course course(request);
  const auto train = [&course] { return course.plan().alone() ? run_solo(course) : run_cluster(course); };
  try {
    const std::vector<RoleReport> roles = train();
    course.conclude();
    return {course.folder().path(), course.finish(roles, nullptr), course.stop_code()};
  } catch (const Error& error) {
    course.finish_failed(error);
    throw;
  } catch (const std::exception& other) {
    course.finish_failed(Error(Kind::internal, other.what()));
    throw;
  }
}

}  // namespace dtrain::role
