#pragma once
/// A run in virtual time: the policies and rhythms of sync/, driven by the message sequence of the real roles.
///
/// A worker that is released into a step computes for as long as the distribution says, pushes to every server in the
/// steps that are due, and goes on when every server has released it. Every server has a policy of its own; where
/// several must agree before an update, the first decides on pushes that are complete on all, and tells the others. A
/// loss is known a latency later, everywhere at once. Memory grows with workers x servers, time with events. Nothing
/// is drawn but (seed, rank, step): the same setting gives the same outcome. One thread.

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "sim/freight.hpp"
#include "sim/setting.hpp"
#include "sim/transport.hpp"
#include "sync/ledger.hpp"

namespace dtrain::sim {

class Engine {
 public:
  /// `freight` may be null; it must outlive the engine. `sink` hears of every event of every server.
  explicit Engine(const Setting& setting, Freight* freight = nullptr, sync::Ledger::Sink sink = {});
  ~Engine();

  /// Runs to the end. `progress` is called now and then with the share that is done.
  /// Throws Error(Kind::lost) if those who are left can never end, naming one of them.
  Outcome run(const std::function<void(double)>& progress = {});

  double now() const { return transport_.now(); }

 private:
  enum class State : std::uint8_t { comes, computes, waits, done, absent };
  struct Worker {
    Clock clock = 0, due = 0;
    double since = 0;              ///< began the step that it computes
    double entered = 0;            ///< came to `clock`
    double present_since = 0;      ///< got its first weights
    double present = 0;            ///< seconds, of earlier times
    Clock first = 0;               ///< clock at present_since
    Clock passed = 0;              ///< clocks, of earlier times
    double passing = 0;            ///< seconds that these took
    double among_all = 0;          ///< of these, while nobody had finished
    std::uint32_t generation = 0;  ///< of its timer: older ones are void
    std::uint32_t life = 0;        ///< of its messages
    std::size_t adopted = 0;       ///< of memberships_
    State state = State::comes;
    sync::Turn turn;
  };
  /// What a server knows of a rank.
  struct Seat {
    sync::Release newest;    ///< that it was given, or will be once it has pulled
    Clock pushed = 0;        ///< clock of its newest push, plus 1
    Clock taken = 0;         ///< the same of the newest that counts, as the ledger knows
    std::uint32_t life = 0;  ///< of its newest pull: what is sent is for that one
    bool connected = false;  ///< it has pulled
    bool owed = false;       ///< released before it pulled
    bool absent = false;     ///< lost: what was decided before that has no weights for it
  };
  struct Server {
    std::unique_ptr<sync::Policy> policy;  ///< null: the first server decides
    sync::Ledger ledger;
    std::vector<Seat> seats;
    Clock flight = 0;  ///< gated: the step in flight or, of a block, its last
    std::uint32_t epoch = 0;
    bool updated = false;  ///< its last step made an update
  };
  /// Who takes part from the step after `step` on.
  struct Membership {
    Clock step = 0;
    std::vector<Rank> active;
  };
  struct Order {
    std::optional<Rank> lost, joined;  ///< a change of members, which others hear of in order with the updates
    bool keeps_push = false;           ///< of the lost one: it stays in the step in flight
    std::vector<Rank> fold, refresh;
    std::vector<sync::Release> release;
  };

  Worker& worker(Rank rank) { return workers_[static_cast<std::size_t>(rank)]; }
  Server& server(int m) { return servers_[static_cast<std::size_t>(m)]; }
  Seat& seat(int m, Rank rank) { return server(m).seats[static_cast<std::size_t>(rank)]; }
  Clock& entered(Rank rank, int m) {
    return released_[static_cast<std::size_t>(rank) * servers_.size() + static_cast<std::size_t>(m)];
  }
  int node_of_server(int m) const { return setting_.workers + m; }
  /// Where a rank's exchange of that step goes: to the server, or under gossip to its partner.
  int node_of_exchange(int m, Rank rank, Clock clock) const;

  // The workers' half.
  void start(Rank rank);
  void begin(Rank rank, Clock clock);
  void enter_step(Rank rank);
  void finish(Rank rank);
  void push(Rank rank);
  void go_on(Rank rank);
  void take_weights(const Message& message);
  void end(Rank rank);
  void settle_presence(Worker& worker);

  // The servers' half.
  void take_pull(const Message& message);
  void take_push(const Message& message);
  void take_whole(int server, Rank rank, Clock clock);
  void take_decision(const Message& message);
  void judge(int m, Rank rank, Clock clock);
  void act(int m);
  void obey(int m, const std::vector<Rank>& fold, const std::vector<sync::Release>& release,
            const std::vector<Rank>& refresh);
  void update(int m, const std::vector<Rank>& fold, Clock clock);
  void release(int m, const sync::Release& release, bool folded);
  void send_weights(int m, Rank rank, Message::Kind kind, bool folded, double bytes);
  Order& tell(int m);
  void note_taken(int m, Rank rank);
  void tell_others();

  // Who takes part.
  void lose(Rank rank);
  void settle_loss(Rank rank);
  void settle_loss_on_all(Rank rank);
  void take_back(int m, Rank lost, Clock step);
  void settle_joins();
  void note_membership();
  void adopt_memberships(Rank rank);
  bool aligned() const;
  bool connected(Rank rank) const;
  Clock entry(Rank rank) const;

  void handle(const Message& message);
  void handle(const Timer& timer);
  double share_done() const;
  Outcome conclude();
  [[noreturn]] void fail_stuck() const;

  const Setting& setting_;
  Freight* freight_;
  sync::Traits traits_;
  bool decided_;
  Transport transport_;
  std::vector<Worker> workers_;
  std::vector<Server> servers_;
  std::vector<Clock> released_;  ///< [rank, server]: clock that it may enter, plus 1; 0: none yet
  std::vector<std::unique_ptr<sync::Rhythm>> rhythms_;
  std::vector<Clock> whole_;  ///< decided: [rank, server]: clock of the newest push known to be there, plus 1
  std::vector<Order> orders_;
  std::vector<std::uint32_t> free_orders_;
  std::vector<Membership> memberships_;
  std::vector<Rank> active_, joining_;
  sync::Actions actions_;
  std::vector<Clock> clocks_;
  int present_ = 0, done_ = 0;
  double first_end_ = std::numeric_limits<double>::infinity();  ///< when somebody had done all steps
  Outcome outcome_;
};

}  // namespace dtrain::sim
