// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/cluster_description.h"

namespace evergrove::runtime {
namespace {

constexpr uint64_t kHere = 0;  // no connection has this number

}  // namespace

Result<std::unique_ptr<ClusterDescription>> ClusterDescription::begin(
    ClusterDescriptionRequest request, Send send, PartReader::Callback on_read) {
  EVERGROVE_ASSIGN_OR_RETURN(
      train::Description description,
      train::Description::begin(request.spec, request.parameters, request.known));
  std::unique_ptr<ClusterDescription> result(new ClusterDescription(
      std::move(request), std::move(description), std::move(send), std::move(on_read)));
  result->begin_phase();
  return result;
}

ClusterDescription::ClusterDescription(ClusterDescriptionRequest request,
                                       train::Description description, Send send,
                                       PartReader::Callback on_read)
    : request_(std::move(request)),
      description_(std::move(description)),
      send_(std::move(send)),
      own_reader_(
          std::make_unique<PartReader>(request_.spec, request_.threads, std::move(on_read))),
      describe_bytes_(encode_describe(request_.data)) {}

void ClusterDescription::begin_phase() {
  first_number_ += requests_.size();
  requests_ = description_.requests(request_.sizes);
  board_ = cluster::PartBoard(requests_.size());
  for (const ConnectionId reader : readers_) board_.add_reader(reader);
  if (reads_here_) board_.add_reader(kHere);
  ask();
}

void ClusterDescription::tick() {
  if (reads_here_ || !readers_.empty() || request_.data.has_partitions()) return;
  reads_here_ = true;
  board_.add_reader(kHere);
  ask();
}

void ClusterDescription::stop_reading_here() {
  if (!reads_here_) return;
  reads_here_ = false;
  board_.remove_reader(kHere);
  own_reader_->forget();
}

void ClusterDescription::ask() {
  const auto ask_one = [&](uint64_t reader) {
    while (const std::optional<size_t> part = board_.next(reader)) {
      NumberedRequest request{first_number_ + *part, requests_[*part]};
      if (reader == kHere) {
        own_reader_->read(std::move(request));
      } else {
        send_(reader, encode_part(request));
      }
    }
  };
  if (reads_here_) ask_one(kHere);
  for (const ConnectionId reader : readers_) ask_one(reader);
}

double ClusterDescription::share() const {
  return board_.part_count() == 0 ? 1 : double(board_.done_count()) / double(board_.part_count());
}

void ClusterDescription::opened(ConnectionId connection) { send_(connection, describe_bytes_); }

Status ClusterDescription::received(ConnectionId connection, std::string_view bytes) {
  if (bytes.empty()) return {};
  if (bytes[0] == kReaderTag) {
    readers_.insert(connection);
    board_.add_reader(connection);
    stop_reading_here();
    ask();
    return {};
  }
  if (bytes[0] != kFactsTag || !readers_.contains(connection)) return {};
  Result<NumberedFacts> facts = decode_facts(bytes.substr(1));
  if (!facts.ok()) return closed(connection);
  return take(connection, *std::move(facts));
}

Status ClusterDescription::closed(ConnectionId connection) {
  if (readers_.erase(connection) == 0) return {};
  board_.remove_reader(connection);
  ask();
  return {};
}

Status ClusterDescription::read_here(NumberedFacts facts) { return take(kHere, std::move(facts)); }

Status ClusterDescription::take(uint64_t reader, NumberedFacts facts) {
  if (facts.number < first_number_ || facts.number - first_number_ >= requests_.size()) return {};
  const size_t part = facts.number - first_number_;
  if (!facts.facts.ok()) {
    board_.fail(reader, part, facts.facts.status());
  } else if (board_.finish(reader, part)) {
    EVERGROVE_RETURN_IF_ERROR(description_.add(requests_[part], *std::move(facts.facts)));
  }
  if (board_.is_done()) {
    EVERGROVE_RETURN_IF_ERROR(board_.failure());
    EVERGROVE_RETURN_IF_ERROR(description_.end_phase());
    if (!description_.is_complete()) begin_phase();
    return {};
  }
  ask();
  return {};
}

}  // namespace evergrove::runtime
