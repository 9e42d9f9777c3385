#include "role/run.hpp"

#include "role/coordinator.hpp"
#include "role/solo.hpp"

namespace dtrain::role {

RunResult run_job(const RunRequest& request) {
  Course course(request);
  const auto train = [&course] { return course.plan().servers == 0 ? run_solo(course) : run_cluster(course); };
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
