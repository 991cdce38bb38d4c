#include "engine/support/random_clients.h"

#include <initializer_list>
#include <random>

namespace varve::engine::testing {

RandomClients::RandomClients(uint64_t seed) : limits_(LimitsFor(seed)), world_(seed, limits_) {
  for (uint64_t i = 2 + world_.Below(6); i > 0; --i) clients_.push_back({&world_.NewClient(), 0});
  if (world_.Below(3) == 0) ChangeCache();
}

HeldEngine::Limits RandomClients::LimitsFor(uint64_t seed) {
  std::mt19937_64 random(~seed);
  const auto one_of = [&](std::initializer_list<uint64_t> values) {
    return values.begin()[random() % values.size()];
  };
  HeldEngine::Limits limits;
  limits.write_buffer_bytes = one_of({256, 512, 1024});
  limits.memory_bytes_max = one_of({1, 8 << 10, 64 << 10, 1 << 20});
  limits.block_bytes = one_of({64, 256, 1024});
  limits.settling_loads_max = one_of({0, 1, 3, 1024});
  limits.sealed_memtables_max = static_cast<int>(one_of({1, 2, 4}));
  limits.filter_bits_per_key = static_cast<int>(one_of({1, 10}));
  limits.value_threshold_bytes = one_of({0, 1, 8});
  return limits;
}

void RandomClients::Step() {
  const uint64_t kind = world_.Below(64);
  if (kind < 24) {
    StepClient(clients_[world_.Below(clients_.size())]);
  } else if (kind < 40) {
    StepRead();
  } else if (kind < 61) {
    for (uint64_t i = world_.Below(8); i > 0; --i) world_.machine().scheduler.RunOne();
  } else if (kind == 61) {
    world_.machine().scheduler.AdvanceUs(world_.Below(2000));
  } else if (kind == 62) {
    ChangeCache();
  } else if (world_.Below(4) == 0) {
    world_.Evict();
  }
}

void RandomClients::ChangeCache() {
  has_cache_ = !has_cache_;
  if (has_cache_) {
    world_.GiveCache();
  } else {
    world_.TakeCache();
  }
}

// ---- Commands

// Most of the time one of a few, so that the clients meet.
std::string RandomClients::HotKey() {
  constexpr uint64_t kHotKeys = 6;
  return HeldEngine::Key(world_.Below(world_.Below(4) == 0 ? HeldEngine::kKeys : kHotKeys));
}

std::string RandomClients::NewValue() {
  const bool is_large = world_.Below(50) == 0;
  return world_.Value() + std::string(is_large ? kSharedValueBytes : 0, '.');
}

Operation RandomClients::NewPage() {
  Operation page{Operation::Kind::kScan};
  if (world_.Below(2) == 0) page.from = world_.model().tokens().at(world_.AnyKey());
  page.count_hint = 1 + world_.Below(HeldEngine::kKeys + HeldEngine::kKeys / 2);
  return page;
}

Command RandomClients::NewCommand() {
  const uint64_t kind = world_.Below(40);
  if (kind < 12) return {Get(HotKey())};
  if (kind < 19) return {Put(HotKey(), NewValue())};
  if (kind < 23) return {Delete(HotKey())};
  if (kind < 26) return world_.GetAll();
  if (kind < 28) return {Count()};
  if (kind < 29) return {{Operation::Kind::kRandomKey}};
  if (kind < 32) return {NewPage()};
  if (kind < 33 && world_.Below(6) == 0) return {Clear()};
  return NewTransaction();
}

Command RandomClients::NewTransaction() {
  Command command;
  for (uint64_t i = 1 + world_.Below(5); i > 0; --i) {
    const uint64_t kind = world_.Below(40);
    if (kind == 0 && world_.Below(4) == 0) {
      command.push_back(Clear());
    } else if (kind < 16) {
      command.push_back(Get(HotKey()));
    } else if (kind < 30) {
      command.push_back(Put(HotKey(), NewValue()));
    } else {
      command.push_back(Delete(HotKey()));
    }
  }
  return command;
}

// ---- Steps

void RandomClients::StepClient(Slot& slot) {
  ModelClient& client = *slot.client;
  switch (client.state()) {
    case ModelClient::State::kWaiting:
      return;
    case ModelClient::State::kResumed:
      if (world_.Below(20) == 0) {
        client.Abandon();
        ++lost_count_;
        return;
      }
      client.Again();
      break;
    case ModelClient::State::kIdle: {
      std::vector<std::string> look_ahead;
      for (uint64_t i = world_.Below(3); i > 0; --i) look_ahead.push_back(HotKey());
      slot.failed_reads = failed_reads_;
      client.Start(NewCommand(), look_ahead);
      break;
    }
  }
  if (complaint_.empty()) complaint_ = client.mismatch();
  if (client.state() == ModelClient::State::kIdle && client.refusal()) CheckRefusal(slot);
}

void RandomClients::CheckRefusal(const Slot& slot) {
  ++refused_count_;
  const bool has_reason =
      slot.client->refusal()->code == Errc::kIo && failed_reads_ > slot.failed_reads;
  if (!has_reason && complaint_.empty()) {
    complaint_ = "refused without a reason: " + slot.client->refusal()->context;
  }
}

void RandomClients::StepRead() {
  HeldBlockReader& reader = world_.reader();
  if (reader.held_count() == 0) return;
  const uint64_t index = world_.Below(reader.held_count());
  const uint64_t kind = world_.Below(20);
  if (kind < 6) {
    reader.Fetch(index);
  } else if (kind == 6) {
    reader.Fail(index);
    ++failed_reads_;
  } else {
    reader.Deliver(index);
  }
}

}  // namespace varve::engine::testing
