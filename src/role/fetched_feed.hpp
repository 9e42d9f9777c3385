#pragma once
/// Rows from processes that hold them: loaders, and under `peer` the other workers.
///
/// Under `central` and `staged` a batch comes from one loader. Under `peer` row r is held by worker r mod N, which
/// got its shard from the loader when the run began, so no worker needs the files; rows of our own shard are here
/// already, and those of a worker that was lost come from the loader.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "data/division.hpp"
#include "role/feed.hpp"
#include "role/row_parcel.hpp"
#include "role/row_server.hpp"

namespace dtrain::role {

class FetchedFeed final : public Feed {
 public:
  FetchedFeed(Link& link, const plan::Plan& plan, const Welcome& welcome);

  std::vector<std::string> endpoints() const override;
  void start(const Start& start, Connections& connections) override;
  bool settled() const override { return !trades_ || shard_ != nullptr; }
  void expect(Index step) override;
  bool has(std::span<const std::uint32_t> rows) override;
  void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) override;
  void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) override;
  void watch(wire::Poller& poller) override;
  void receive() override;
  void lose(int rank) override;
  void set_active(const std::vector<int>& active) override;

 private:
  /// Rows of a batch that come from one place.
  struct Part {
    std::size_t source = 0;
    std::uint64_t number = 0;  ///< of the request
    std::vector<std::uint32_t> rows;
    std::vector<std::uint32_t> places;  ///< of these rows in the batch
    RowParcel parcel;
    std::shared_ptr<const data::Rows> opened;  ///< these rows, from 0; or our own shard
    std::optional<wire::Message> encoded;      ///< or they themselves, encoded
    bool here() const { return opened != nullptr || encoded.has_value(); }
  };
  struct Batch {
    std::vector<std::uint32_t> rows;
    std::vector<Part> parts;
    bool here() const;
  };

  bool ours(const Part& part) const { return trades_ && part.source == loaders_ + rank_; }
  std::size_t source_of(std::uint32_t row) const;
  Batch divide(std::span<const std::uint32_t> rows) const;
  void ask(Part& part);
  void wait_for(const Batch& batch);
  Batch request(std::span<const std::uint32_t> rows);
  std::deque<Batch>::iterator find(std::span<const std::uint32_t> rows);
  void take(std::size_t source, wire::Message& message);
  void take_shard(const wire::Message& message);
  void append(const Part& part, std::uint32_t at, SparseBatch& batch, float& target);
  void gather_encoded(const Part& part, Matrix features, std::span<float> targets) const;

  Link& link_;
  const plan::Plan& plan_;
  data::Encoding encoding_;
  std::uint32_t rank_, workers_;
  bool trades_;
  std::size_t loaders_;
  std::size_t givers_, first_giver_;  ///< loaders that batches come from, but for traded rows
  Index width_, steps_;
  data::Division division_;  ///< looks ahead
  std::optional<RowServer> server_;
  std::deque<wire::Socket> sources_;    ///< loaders, then workers
  Connections* connections_ = nullptr;  ///< of these
  std::vector<bool> gone_;              ///< per source
  RowParcel shard_parcel_;
  std::shared_ptr<const data::Rows> shard_;
  std::deque<Batch> batches_;
  Index due_ = -1;                   ///< step
  std::optional<Deadline> awaited_;  ///< until its rows must be here
  SparseBatch one_;                  ///< row of a sparse batch
  std::uint64_t asked_ = 0;          ///< requests, by which they are numbered; the first is that for the shard
  std::size_t divided_ = 0;          ///< batches
  Index next_ = 0;                   ///< the first step whose batch was not asked for
};

}  // namespace dtrain::role
