/// Roles on other hosts: how they are started, and how they end.

#include "base/text.hpp"
#include "role/coordinator_role.hpp"
#include "role/hosts.hpp"

namespace dtrain::role {

void add_data_dir(std::vector<std::string>& arguments, const job::Topology& topology, const Member& member) {
  const job::HostRoles* host = member.role == wire::Role::server   ? job::host_of_server(topology, member.rank)
                               : member.role == wire::Role::worker ? job::host_of_worker(topology, member.rank)
                                                                   : nullptr;
  if (host != nullptr && !host->data_dir.empty()) arguments.insert(arguments.end(), {"--data-dir", host->data_dir});
}

void Coordinator::spawn_elsewhere() {
  const job::Topology& topology = plan_.job.topology;
  if (job::launches_by_ssh(topology))
    course_.request().log.info("{}: starting those elsewhere over ssh; they join {}", job::describe_hosts(topology),
                               doors_.outer_endpoint());
  for (Member& member : roster_.all())
    if (!member.place.empty()) spawn_elsewhere(member);
}

/// Its ticket, which comes with the token, is of this start only: whoever held an older one has lost the place.
void Coordinator::spawn_elsewhere(Member& member) {
  const job::Topology& topology = plan_.job.topology;
  launch::RemoteRole role;
  role.name = member.name();
  role.host = member.place;
  role.arguments = {wire::name(member.role), "--connect", doors_.outer_endpoint()};
  add_data_dir(role.arguments, topology, member);
  role.environment = {{"OMP_NUM_THREADS", std::to_string(plan_.threads)},
                      {launch::spin_count.name, launch::spin_count.value},
                      {"OPENBLAS_NUM_THREADS", "1"}};
  role.log = course_.folder().log(wire::name(member.role), member.rank);
  if (job::launches_by_ssh(topology)) {
    wire::Token token = *doors_.token();
    token.ticket = member.ticket = wire::make_secret();
    token.held = true;
    role.token = wire::token_text(token);
  } else if (doors_.secure()) {
    role.token_file = token_file();
  } else if (course_.request().insecure) {
    role.arguments.push_back("--insecure");
  }
  member.child = launcher().start(role);
}

launch::Launcher& Coordinator::launcher() {
  const job::Topology& topology = plan_.job.topology;
  if (!launcher_)
    launcher_ = topology.launch == job::Launch::ssh
                    ? launch::ssh_launcher(topology.program)
                    : launch::printing_launcher(topology.program, [this](const std::string& line) {
                        course_.request().log.info("{}", line);
                      });
  return *launcher_;
}

/// Where a person finds the token.
std::string Coordinator::token_file() const {
  const std::string& named = course_.request().token_file;
  return named.empty() ? (course_.folder().path() / "token").string() : named;
}

/// How a member's process ended, as a person would say it.
std::string Coordinator::ending(const Member& member, const launch::Exit& exit) const {
  if (member.place.empty()) return exit.text();
  const std::string said = launch::last_line(course_.folder().log(wire::name(member.role), member.rank));
  const std::string how = exit.signal == 0 ? fmt::format("ended with status {}", exit.code) : exit.text();
  constexpr int command_not_found = 127;
  return fmt::format(
      "ssh to {} {}{}{}", member.place, how, said.empty() ? "" : ": " + said,
      exit.signal == 0 && exit.code == command_not_found ? " (topology.program says what dtrain is called there)" : "");
}

/// The same of one whose connection ended. Its ssh, if there is one, ends a moment later, and may say why.
std::string Coordinator::broken_connection(Member& member) {
  if (!member.child) return "closed its connection";
  wire::Poller poller;
  poller.add(member.child->descriptor());
  poller.wait(500);
  const std::optional<launch::Exit> exit = member.child->ended();
  return exit ? ending(member, *exit) : "closed its connection";
}

void Coordinator::conclude_strangers() {
  const std::uint64_t count = doors_.strangers().count();
  if (count == 0) return;
  doors_.strangers().conclude();
  course_.metrics().write({{"event", "strangers"}, {"refused", count}});
}

}  // namespace dtrain::role
