// A lane of the page: a connection, its channel, its pulse and its experiment.

import { LABELS, type Protocol, type TransportName, TRANSPORTS } from '../net/transports';
import { Connection, type Surroundings } from './connection';
import { Cut } from './cut';
import { Pulse } from './pulse';
import { Room } from './room';
import { Store } from './store';

export class Lane extends Store {
  readonly connection: Connection;
  readonly room: Room;
  readonly pulse: Pulse;
  readonly cut: Cut;

  constructor(
    readonly id: string,
    readonly label: string,
    around: Surroundings,
    transports: readonly TransportName[],
    channel: string,
  ) {
    super();
    this.connection = new Connection(around, transports);
    this.room = new Room(this.connection, channel);
    this.pulse = new Pulse(this.connection);
    this.cut = new Cut(around, this.connection, this.room);
    for (const part of [this.connection, this.room, this.pulse, this.cut]) part.watch(() => this.changed());
  }

  /** Whether the lane falls back from transport to transport, or has one only. */
  get automatic(): boolean {
    return this.connection.transports.length > 1;
  }

  start(): void {
    this.room.detach();
    this.pulse.roundTrips.clear();
    this.cut.reset();
    this.connection.start(() => this.room.subscribe(this.room.channel));
  }

  stop(): void {
    this.connection.stop();
    this.room.detach();
  }

  /** Another protocol, or another choice of transports, is another client: the SDK settles both at its birth. */
  speak(protocol: Protocol): void {
    this.connection.protocol = protocol;
    this.start();
  }

  enable(transport: TransportName, on: boolean): void {
    this.connection.enable(transport, on);
    this.start();
  }
}

/** The automatic lane, and one for each transport alone. */
export function createLanes(around: Surroundings, channel: string): Lane[] {
  const automatic = new Lane('automatic', 'Automatic', around, TRANSPORTS, channel);
  const single = TRANSPORTS.map((name) => new Lane(name, LABELS[name], around, [name], channel));
  return [automatic, ...single];
}
