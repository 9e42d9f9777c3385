/// Rules on topology.hosts.

#include "base/text.hpp"
#include "job/check.hpp"
#include "job/hosts.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

/// What ssh takes as a destination, and never as one of its options.
bool is_host_name(const std::string& text) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:%@";
  constexpr std::size_t longest = 255;
  const std::size_t at = text.rfind('@');
  const std::string host = at == std::string::npos ? text : text.substr(at + 1);
  return !host.empty() && host.front() != '-' && text.front() != '-' && text.front() != '@' && text.size() <= longest &&
         text.find_first_not_of(letters) == std::string::npos;
}

void check_entry(Rules& rules, const std::string& path, const HostRoles& host) {
  if (rules.sound({path + ".host"}) && !is_host_name(host.host))
    rules.error({path + ".host"}, "{}.host must be HOST or USER@HOST, as ssh takes it, got {}", path,
                in_quotes(host.host));
  if (host.workers + host.servers == 0 && rules.sound({path + ".workers", path + ".servers"}))
    rules.error({path + ".host"}, "{} has no role: give it workers or servers, or leave it out", path);
  if (!host.data_dir.empty() && host.data_dir.front() != '/')
    rules.error({path + ".data_dir"}, "{}.data_dir must be an absolute path, for the folder of a job is here: got {}",
                path, in_quotes(host.data_dir));
}

void check_count(Rules& rules, const std::string& path, std::int64_t value, std::int64_t hosts, const char* what) {
  if (value != hosts)
    rules.error({path, "topology.hosts"}, "{} is {}, but topology.hosts has {} {}: leave {} out", path, value, hosts,
                what, path);
}

void check_counts(Rules& rules) {
  const Topology& topology = rules.job.topology;
  const RoleCounts counts = count_roles(topology);
  if (counts.workers == 0)
    return rules.error({"topology.hosts"}, "topology.hosts has no worker: give one of the hosts workers: 1 or more");
  check_count(rules, "topology.workers", topology.workers, counts.workers, "workers in all");
  check_count(rules, "topology.external", topology.external, counts.external_workers, "workers elsewhere");
  if (!has_servers(topology)) {
    if (counts.servers > 0)
      rules.error(
          {"topology.hosts", "topology.kind"},
          "topology.hosts has {} server{}, but topology.kind is one without: leave servers out of the hosts, or "
          "set topology.kind to parameter_server",
          counts.servers, counts.servers == 1 ? "" : "s");
    return;
  }
  check_count(rules, "topology.servers", *topology.servers, counts.servers, "servers in all");
  check_count(rules, "topology.external_servers", topology.external_servers, counts.external_servers,
              "servers elsewhere");
  const bool needed = topology.data_ranks() > 1 || (topology.external > 0 && topology.split.cells() == 1);
  if (counts.servers == 0 && needed)
    rules.error({"topology.hosts"},
                "topology.hosts has no server: give one of the hosts servers: {} or more, or set topology.kind to ring",
                topology.split.cells());
}

}  // namespace

void check_hosts(Rules& rules) {
  const Topology& topology = rules.job.topology;
  if (topology.hosts.empty()) {
    rules.idle("topology.launch", "topology.hosts names no hosts");
    return rules.idle("topology.program", "topology.hosts names no hosts");
  }
  if (!rules.sound({"topology.hosts", "topology.kind"})) return;
  bool sound = true;
  for (std::size_t k = 0; k < topology.hosts.size(); ++k) {
    const std::string path = fmt::format("topology.hosts[{}]", k);
    check_entry(rules, path, topology.hosts[k]);
    sound = sound && rules.sound({path, path + ".workers", path + ".servers"});
  }
  if (rules.sound({"topology.program"}) && topology.program.empty())
    rules.error({"topology.program"}, "topology.program is what dtrain is called on other hosts: it may not be empty");
  if (sound) check_counts(rules);
}

}  // namespace dtrain::job
