#pragma once
/// One worker's push to one server, as its pieces come in. Pieces stay where ZeroMQ or the worker has them until
/// clear().

#include <vector>

#include "plan/plan.hpp"
#include "role/packer.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// Of pieces that come by rows (plan::Piece::by_rows): which rows of the matrix, and how long they are.
struct RowsSent {
  std::span<const std::uint32_t> rows{};
  Index cols = 1;
};

class Inbox {
 public:
  /// `pieces`: of all arenas that are exchanged. `keeps`: they stay here when their sender goes on, so that what lies
  /// in its memory is copied.
  Inbox(std::size_t pieces, bool keeps) : messages_(pieces), floats_(pieces), copies_(pieces), keeps_(keeps) {}
  Inbox(const Inbox& other) : Inbox(other.messages_.size(), other.keeps_) {}  ///< an empty one of the same shape
  Inbox(Inbox&&) noexcept = default;
  Inbox& operator=(Inbox&&) noexcept = default;

  /// Takes a piece in. False, and nothing changes, if it is not a piece of this slice, is here already, or belongs to
  /// another step than the pieces before it. A push without rows is whole with its one header. Pieces of an earlier
  /// step than this one, which was given up, make room.
  /// `unpacker`: where pushes are packed; a piece that is not packed so is refused too.
  bool add(const plan::Slice& slice, wire::Message message, Unpacker* unpacker = nullptr, RowsSent sent = {});

  bool complete() const { return open_ && (rows_ == 0 || have_ == messages_.size()); }
  bool partial() const { return open_ && !complete(); }
  std::uint64_t clock() const { return clock_; }
  std::uint64_t rows() const { return rows_; }
  double loss() const { return loss_; }
  /// The pieces' numbers, in order; valid until clear(). Only for a complete push with rows.
  const std::vector<const float*>& floats() const { return floats_; }
  void clear();

 private:
  bool take_in(wire::Message& message, std::size_t piece, Unpacker* unpacker);
  bool take_rows(const wire::Message& message, const plan::Piece& piece, const RowsSent& sent);
  std::vector<std::optional<wire::Message>> messages_;
  std::vector<const float*> floats_;  ///< where each piece's are
  /// Of packed pieces, of short ones, which may lie unaligned, and of those that are kept.
  std::vector<std::vector<float>> copies_;
  bool keeps_;
  std::size_t have_ = 0;
  std::uint64_t clock_ = 0, rows_ = 0;
  double loss_ = 0;
  bool open_ = false;
};

}  // namespace dtrain::role
