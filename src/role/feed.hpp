#pragma once
/// Where a worker's rows come from: its own copy of them, or processes that hold them (ALGORITHMS.md, section 6).
///
/// The thread of the role drives it. What is fetched is asked for some batches ahead, and waits where it arrives, in
/// the socket, until the batch is due: so it travels while the worker computes.

#include <memory>
#include <span>

#include "data/data.hpp"
#include "plan/plan.hpp"
#include "role/messages.hpp"
#include "role/role.hpp"

namespace dtrain::role {

class Feed {
 public:
  virtual ~Feed() = default;

  /// All training rows, if they are here.
  virtual const data::Rows* rows() const { return nullptr; }
  /// Endpoints where others can ask us for rows that we hold; mostly none.
  virtual std::vector<std::string> endpoints() const { return {}; }
  /// Before any of what follows.
  virtual void start(const Start& /*start*/, Connections& /*connections*/) {}
  /// Whether what this role holds for others is here: until then it need not begin.
  virtual bool settled() const { return true; }

  /// The batches of this step and of those after it may be fetched.
  virtual void expect(Index /*step*/) {}
  /// Whether gather() need not wait; asks for them otherwise.
  virtual bool has(std::span<const std::uint32_t> /*rows*/) { return true; }
  /// As data::Rows::gather(); has(rows) is true. `features` without data: only the targets, where rows are our own.
  virtual void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) = 0;
  /// As data::Rows::gather_sparse(), where plan.sparse says so; the same.
  virtual void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) = 0;

  virtual void watch(wire::Poller& /*poller*/) {}
  /// Takes what has arrived.
  virtual void receive() {}
  /// A worker is gone: it will answer no more.
  virtual void lose(int /*rank*/) {}
  /// From the next step that is expected on, these share the rows.
  virtual void set_active(const std::vector<int>& /*active*/) {}
};

/// As the plan says it. Reads files only where every worker does. Throws Error(Kind::data).
std::unique_ptr<Feed> make_feed(Link& link, const plan::Plan& plan, const Welcome& welcome);
/// In one process.
std::unique_ptr<Feed> make_feed(const plan::Plan& plan, const data::Encoding& encoding);

}  // namespace dtrain::role
