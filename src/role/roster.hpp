#pragma once
/// The members of a run as the coordinator knows them.

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

#include "base/hash.hpp"
#include "job/hosts.hpp"
#include "role/doors.hpp"

namespace dtrain::role {

/// One server or worker, from the plan's point of view; filled in as it joins.
struct Member {
  /// vacant: somebody may take the place.
  enum class State { expected, joined, ready, left, lost, vacant };
  wire::Role role{};
  int rank = 0;
  bool external = false;
  std::string place;     ///< host that it is meant for (topology.hosts); "": this machine, or any
  std::string ticket;    ///< by which whoever is started there takes the place; "": it is anybody's who may join
  bool standby = false;  ///< a server that began as the standby of the one of its rank
  bool acting = false;   ///< and has taken its place
  State state = State::expected;
  bool active = true;                  ///< takes part; false of a place that is empty or about to be taken
  bool entered = true;                 ///< has worked on a step
  std::optional<launch::Child> child;  ///< of this machine; for a role on another host, the ssh that holds it
  Address address;
  int descriptor = -1;  ///< of its control connection
  std::uint64_t incarnation = 0;
  std::string public_key;
  std::string data_endpoint;  ///< server, loader
  std::string row_endpoint;   ///< worker that holds a shard
  std::string host;
  std::int64_t pid = 0;
  Clock::time_point last_beat;
  Seconds longest_interval{0};
  std::uint64_t step = 0;
  std::uint64_t events = 0;  ///< of its trace, that have come
  Phase phase = Phase::joining;
  std::optional<Tally> tally;
  std::optional<Failure> failure;  ///< as it told us

  bool stands_by() const { return standby && !acting; }
  /// As logs and summaries have it: "server", "standby", "worker".
  std::string kind() const { return standby ? "standby" : wire::name(role); }
  std::string name() const {
    return (stands_by() ? "standby" : std::string(wire::name(role))) + " " + std::to_string(rank);
  }
  /// What was said of the last who had this place holds no more.
  void vacate(State now) {
    state = now;
    active = entered = false;
    address = {};
    incarnation = 0;
    step = 0;
    phase = Phase::joining;
    longest_interval = Seconds(0);
    failure.reset();
    tally.reset();
  }
  bool present() const { return state == State::joined || state == State::ready; }
};

class Roster {
 public:
  Roster(const plan::Plan& plan) {
    const job::Topology& topology = plan.job.topology;
    for (int m = 0; m < plan.servers; ++m)
      add(wire::Role::server, m, job::is_external_server(topology, m, plan.servers), job::host_of_server(topology, m));
    for (int w = 0; w < plan.processes(); ++w)
      add(wire::Role::worker, w, job::is_external_worker(topology, w, plan.processes()),
          job::host_of_worker(topology, w));
    for (int w = plan.processes(); !plan.grid.split() && w < plan.places(); ++w) {
      add(wire::Role::worker, w, true);
      members_.back().state = Member::State::vacant;
      members_.back().active = members_.back().entered = false;
    }
    if (plan.job.faults.replicas > 0)
      for (int m = 0; m < plan.servers; ++m) add_standby(m);
    for (int k = 0; k < plan.loaders(); ++k) add(wire::Role::loader, k, false);
  }

  std::deque<Member>& all() { return members_; }
  /// Whoever has the slice.
  Member& server(int rank) {
    Member* stands_in = standby(rank);
    return stands_in != nullptr && stands_in->acting ? *stands_in : members_.at(static_cast<std::size_t>(rank));
  }
  /// nullptr: it has none, nor ever had.
  Member* standby(int rank) {
    return standbys_.empty() ? nullptr : &members_.at(standbys_.at(static_cast<std::size_t>(rank)));
  }
  Member& loader(int rank) { return members_.at(members_.size() - static_cast<std::size_t>(loaders_ - rank)); }
  const Member& worker(int rank) const { return members_.at(static_cast<std::size_t>(servers_ + rank)); }
  Member& worker(int rank) { return members_.at(static_cast<std::size_t>(servers_ + rank)); }

  /// Of a cell's weights, by its rank there: a server or, where there is none, a worker.
  Member& owner(const plan::Plan& plan, int cell, int rank) {
    return servers_ > 0 ? server(cell * plan.servers_of_cell() + rank) : worker(plan.grid.rank_of(rank, cell));
  }

  Member* at(const Address& address) {
    for (Member& member : members_)
      if (member.state != Member::State::expected && member.address == address) return &member;
    return nullptr;
  }
  /// The member that a child's ticket names; nullptr for anything else.
  Member* by_ticket(const std::string& ticket) {
    for (Member& member : members_)
      if (!member.external && member.name() == ticket) return &member;
    return nullptr;
  }
  /// The first place that is free for somebody from outside: one that the run needs, or else one that it may have.
  Member* free_place(wire::Role role) {
    for (const Member::State state : {Member::State::expected, Member::State::vacant})
      for (Member& member : members_)
        if (member.external && member.ticket.empty() && member.role == role && member.state == state) return &member;
    return nullptr;
  }
  /// The place on another host that is kept for the holder of this ticket; nullptr if there is none.
  Member* kept_place(wire::Role role, const std::string& ticket) {
    for (Member& member : members_)
      if (!member.ticket.empty() && member.role == role && same_secret(member.ticket, ticket)) return &member;
    return nullptr;
  }

  bool all_in(Member::State state) const {
    return std::all_of(members_.begin(), members_.end(), [state](const Member& m) {
      return !m.active || m.state == state || m.state == Member::State::lost;
    });
  }
  std::vector<int> active_workers() const {
    std::vector<int> ranks;
    for (const Member& member : members_)
      if (member.role == wire::Role::worker && member.active && member.state != Member::State::lost)
        ranks.push_back(member.rank);
    return ranks;
  }
  /// "worker 1, worker 2"
  std::string missing(Member::State below) const {
    std::string names;
    for (const Member& member : members_)
      if (member.active && member.state < below)
        names += (names.empty() ? "" : ", ") + member.name() + (member.place.empty() ? "" : " on " + member.place);
    return names;
  }

 private:
  void add(wire::Role role, int rank, bool external, const job::HostRoles* host = nullptr) {
    Member& member = members_.emplace_back();
    member.role = role;
    member.rank = rank;
    member.external = external;
    if (external && host != nullptr) member.place = host->host;
    member.last_beat = Clock::now();
    if (role == wire::Role::server) ++servers_;
    if (role == wire::Role::loader) ++loaders_;
  }
  void add_standby(int rank) {
    standbys_.push_back(members_.size());
    add(wire::Role::server, rank, false);
    members_.back().standby = true;
    --servers_;
  }
  std::deque<Member> members_;
  std::vector<std::size_t> standbys_;  ///< where they are in it, by rank
  int servers_ = 0, loaders_ = 0;
};

}  // namespace dtrain::role
