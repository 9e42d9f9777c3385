#pragma once
/// What every role that joins has in common.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plan/plan.hpp"
#include "role/connections.hpp"
#include "role/link.hpp"

namespace dtrain::role {

/// Joins, runs `body`, and tells the coordinator if it throws (the Error goes on to the caller); from the beginning
/// each time that the run goes back to its last checkpoint.
void run_role(const JoinRequest& request, const std::function<void(Link&, Welcome&)>& body);

/// The same plan that every other role computes. `data_dir` replaces the job's, where this machine has the data
/// elsewhere.
plan::Plan plan_of(const Welcome& welcome, const std::string& data_dir = {});

/// What a role is in the part of the run that it belongs to: all of it or, where the network is split, one cell's
/// cluster, whose plan and ranks are its own from here on.
plan::Plan take_place(Link& link, Welcome& welcome, const plan::Plan& whole);

/// Waits until everybody is ready. A recording to be repeated comes before it, to servers.
Start await_start(Link& link, std::vector<sync::Event>* recording = nullptr);

/// What the halves of the policy start from.
sync::Setup setup_of(const plan::Plan& plan, const Start& start);

/// Where another role is to be reached: an owner of weights, or somebody who has rows (`Start::row_endpoints`).
struct DataAddress {
  std::string name, endpoint;
  std::string key;  ///< CURVE; "" without
};
DataAddress owner_address(const Start& start, int owner);
DataAddress row_address(const plan::Plan& plan, const Start& start, int source);

/// Of a split network, owners of other cells' weights: (number, address) of each.
std::vector<std::pair<int, DataAddress>> elsewhere(const Start& start, int owners);

/// A socket to it, with CURVE if there is a key and it is tcp, that `connections` watches.
wire::Socket connect_data(Link& link, const plan::Plan& plan, const DataAddress& to, const std::string& identity,
                          Connections& connections);

/// Lets a data socket hand over floats in shared memory, if its endpoint is of this machine and the job wants that:
/// shared memory, and no link that is slow on purpose.
void share_locally(Link& link, const plan::Plan& plan, const std::string& endpoint, wire::Socket& socket);

/// Whether memory of another process can be seen here at all, tried with the coordinator's. Throws
/// Error(Kind::environment) if not: better now than a wait for what never comes.
void try_shared_memory(Link& link, const Welcome& welcome);

/// Arenas that other roles of this machine can see.
MakeArena shareable(Link& link);

/// The floats of a message, which stay where they lie if they can be read there.
std::shared_ptr<const float> floats_of(wire::Message message);

/// Places of a run that nobody has who is among these (ascending).
std::vector<int> absent_from(const plan::Plan& plan, const std::vector<int>& active);

/// 0, 1, .. n-1
std::vector<int> everyone(int n);

/// An endpoint as this machine can reach it: a wildcard host becomes the host by which the coordinator was reached.
std::string reachable(const std::string& endpoint, const std::string& coordinator);

/// Adds what crossed a socket, and what it refused.
void count_traffic(const wire::Socket& socket, Tally& tally);

/// Peak resident memory of this process.
std::int64_t peak_bytes();

}  // namespace dtrain::role
