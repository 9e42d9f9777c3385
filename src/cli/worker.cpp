/// `dtrain worker`, `dtrain server`, `dtrain loader`: a role of a run that a coordinator leads, here or on another
/// machine.

#include "role/worker.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/verbs.hpp"
#include "role/loader.hpp"
#include "role/server.hpp"

namespace dtrain::cli {
namespace {

/// As the path that wire::read_token() takes.
std::string token_of(const Options& options) {
  if (options.token_fd.empty()) return options.token_file;
  if (!options.token_file.empty())
    fail(Kind::usage, "--token-file and --token-fd both say where the token is: give one of them");
  const auto number = parse_integer(options.token_fd);
  if (!number || *number < 0)
    fail(Kind::usage, "--token-fd must be the number of an open file descriptor, such as 3, got '{}'",
         options.token_fd);
  return fmt::format("/dev/fd/{}", *number);
}

role::JoinRequest request_for(const Options& options, wire::Role role) {
  role::JoinRequest request;
  request.role = role;
  request.endpoint = options.connect;
  request.token_file = token_of(options);
  request.insecure = options.insecure;
  request.data_dir = options.data_dir;
  request.patience = options.join_within;
  return request;
}

}  // namespace

int worker(const Options& options) {
  role::run_worker(request_for(options, wire::Role::worker));
  return 0;
}

int server(const Options& options) {
  role::run_server(request_for(options, wire::Role::server));
  return 0;
}

int loader(const Options& options) {
  role::run_loader(request_for(options, wire::Role::loader));
  return 0;
}

}  // namespace dtrain::cli
