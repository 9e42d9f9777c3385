/// `dtrain worker`, `dtrain server`, `dtrain loader`: a role of a run that a coordinator leads, here or on another
/// machine.

#include "role/worker.hpp"
#include "cli/verbs.hpp"
#include "role/loader.hpp"
#include "role/server.hpp"

namespace dtrain::cli {
namespace {

role::JoinRequest request_for(const Options& options, wire::Role role) {
  role::JoinRequest request;
  request.role = role;
  request.endpoint = options.connect;
  request.token_file = options.token_file;
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
