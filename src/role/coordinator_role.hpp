#pragma once
/// The coordinator of a run of several processes: who takes part, what they are told, and what comes of them. One file
/// a matter: coordinator.cpp (from spawning to parting), coordinator_hearing.cpp (what it is told),
/// coordinator_chaos.cpp (faults made on purpose), coordinator_cut.cpp (who is asked to save), coordinator_hosts.cpp
/// (roles on other hosts), coordinator_joins.cpp (who comes later), coordinator_members.cpp (who is lost, and how the
/// others go on), coordinator_recovery.cpp (what is done about a loss, and going back), coordinator_standby.cpp
/// (servers that have a standby) and coordinator_start.cpp (what all are told and start from).
///
/// One thread. Included by these files only.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "launch/hosts.hpp"
#include "role/connections.hpp"
#include "role/coordinator.hpp"
#include "role/cut_calls.hpp"
#include "role/joint_assembly.hpp"
#include "role/roster.hpp"

namespace dtrain::role {

/// What is done about a lost role.
enum class Remedy {
  mend,  ///< the others go on
  back,  ///< all start anew from the last checkpoint
  end
};

/// Thrown when the run goes back: of the loss that was the reason. No Error, for the run has not failed; run_cluster()
/// alone catches it.
struct Setback {
  Clock::time_point noticed;
  std::optional<wire::Role> free_place;  ///< of a role from outside: somebody else may take it
};

/// One attempt at the run; the doors outlive it.
class Coordinator {
 public:
  /// `setback`: why there is another attempt, or nullptr. All must outlive this.
  Coordinator(Course& course, wire::Context& context, Doors& doors, const Setback* setback)
      : course_(course),
        plan_(course.plan()),
        setback_(setback),
        nonce_(doors.self().nonce),
        context_(context),
        doors_(doors),
        roster_(plan_),
        assembly_(plan_),
        cut_calls_(plan_),
        connections_(context_, Seconds(plan_.job.faults.join_within)) {}

  std::vector<RoleReport> run();
  static Doors::Outer outer_door(const Course& course);

 private:
  void train_all();
  void attempt();
  void note_fault(const Error& error);
  void spawn();
  void spawn_elsewhere();
  void spawn_elsewhere(Member& member);
  launch::Launcher& launcher();
  std::string token_file() const;
  std::string ending(const Member& member, const launch::Exit& exit) const;
  std::string broken_connection(Member& member);
  launch::Command command_of(const Member& member) const;
  void announce();
  void announce_missing();
  void announce_place(wire::Role role, bool invites = false);
  void form();
  void start();
  void send_recording();
  Start start_of(const Member& reader, Start start);
  Start start_with_rows(const Member& reader, Start start);
  void load(int cell, int owner, const Member& member, const store::State& state);
  void load_arena(const plan::Plan& plan, int owner, std::size_t index, const Arena& arena, std::size_t worker);
  void load_piece(const plan::Piece& piece, std::size_t index, const Arena& arena, std::size_t worker);
  void train();
  void ask_for_checkpoints();
  void ask_to_mark();
  void part();
  void end_children(bool kindly);
  void kill_children();

  void pump(int timeout_ms);
  void hear(Knock& knock);
  void admit(Knock& knock);
  void welcome(Member& member, const Knock& knock, const Join& join);
  std::vector<std::string> binds(const Member& member, const wire::Message& message, const char* kind) const;
  int cell_of(const Member& member) const;
  int rank_in_cell(const Member& member) const;
  int first_owner(int cell) const;
  static std::string endpoint_for(const std::string& endpoints, const Member& reader);
  void note_progress(Member& member, const wire::Message& message);
  void note_cut(const Member& member, const Cut& cut);
  void note_change(const Member& member, const Changed& changed);
  void check_children();
  void hear_last_words(const Member& member, const launch::Exit& exit);
  void check_connections();
  void conclude_strangers();
  void forgive_pause();
  void check_stalls();
  void check_standstill();
  void check_stops();
  void lose(Member& member, const std::string& how);
  Remedy remedy_for(const Member& member) const;
  bool needs_restart(const Member& member) const;
  bool may_go_back() const;
  std::string too_often(const Member& member) const;
  bool others_can_go_on(const Member& without) const;
  std::string where_is(const Member& member) const;
  std::string loss_text(const Member& member, const std::string& how) const;
  Json loss_event(const Member& member, const std::string& what, Remedy remedy) const;
  [[noreturn]] void go_back(const Member& member, const std::string& how);
  void note_chaos(const Member& member, const wire::Message& message);
  void miss(const wire::Message& message, Member& member);
  void settle_membership();
  void settle_step(Membership& membership);
  bool may_start_anew(const Member& member) const;
  void free_place_of(Member& member);
  void drop_newcomer(Member& member, const std::string& how);
  void admit_next();
  void tell_coming(Member& to, std::uint64_t until, bool called_off = false);
  void call_off();
  void refuse_newcomer();
  void settle_join();
  bool aligned();
  void take_in(std::uint64_t step, std::uint64_t first);
  Start start_of_newcomer(const Member& member, std::uint64_t first);
  void collect_snapshots();
  bool replace_server(Member& member, const std::string& how);
  void go_without_standby(const Member& standby);
  void let_take_over(const Member& lost, Member& standby);
  void note_taken_over(const Member& member);
  [[noreturn]] void fail_lost(const Member& member, const std::string& how);
  void tell_all(wire::Type type, std::string_view payload = {});
  std::vector<RoleReport> reports();

  Course& course_;
  const plan::Plan& plan_;
  const Setback* setback_;
  std::uint64_t nonce_;
  wire::Context& context_;
  wire::SharedMemory memory_;  ///< of others: what they save lies there
  Arena probe_;                ///< for others to see whether they can see it
  Doors& doors_;
  Roster roster_;
  JointAssembly assembly_;
  std::deque<store::State> states_;  ///< that the owners of each cell's weights start from
  CutCalls cut_calls_;
  std::vector<std::uint64_t> asked_;  ///< incarnations of those who were asked to mark the newest cut
  Index started_with_ = 0;            ///< applied rows
  wire::InFlight loading_;
  std::deque<wire::Socket> data_;               ///< one to each owner of weights, cell by cell
  Connections connections_;                     ///< of these
  std::unique_ptr<launch::Launcher> launcher_;  ///< of roles on other hosts; made when there is one
  bool training_ = false, stop_told_ = false, last_seen_ = false;
  std::uint32_t epoch_ = 0;
  std::optional<Clock::time_point> replaced_at_;  ///< when a server was lost whose standby has not taken over yet
  std::optional<int> settling_;                   ///< a lost worker whose step in flight is being settled
  std::deque<int> to_settle_;
  std::deque<int> joining_;       ///< ready to take part
  std::optional<int> admitting_;  ///< whom the servers freeze for
  std::uint64_t attempt_ = 0;     ///< of admitting
  std::vector<std::optional<Frozen>> frozen_;
  Json end_ = Json::object();                ///< `fault` event of the loss that ends the run
  Clock::time_point noticed_;                ///< the last loss that the others go on after
  Clock::time_point looked_ = Clock::now();  ///< for stalls
  Clock::time_point forgiven_ = looked_;     ///< stops until then are
  Clock::time_point stops_looked_ = looked_;
  Clock::time_point moved_ = looked_;  ///< anybody
};

}  // namespace dtrain::role
