//! Numbers of channels: who gets which, and that they come back.

use super::*;

fn compacted(encoding: Encoding) -> Arc<Subscriber> {
    let tracking = Tracking {
        positioned: false,
        max_time_lag_ms: 0,
    };
    let subscriber = Subscriber::new(handle(encoding, None), tracking, true);
    Arc::new(subscriber.compacted())
}

#[test]
fn each_address_is_encoded_once() {
    let hub = Hub::default();
    let channel: Arc<str> = "ch".into();
    let mut all = vec![subscriber(&handle(Encoding::Json, None), false)];
    all.extend((0..2).map(|_| compacted(Encoding::Json)));
    all.push(compacted(Encoding::Protobuf));
    for one in &all {
        hub.join(&channel, one);
        one.release(&channel, 0);
    }
    assert_eq!(
        all.iter().map(|one| one.number()).collect::<Vec<_>>(),
        [0, 1, 1, 1]
    );
    hub.publication("ch", &publication(0), None, 0);
    let mut frames: Vec<tidegate_transports::Frame> = Vec::new();
    for one in &all {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            one.handle()
                .outbox
                .poll_drain(&mut cx, 16, &mut frames)
                .is_ready()
        );
    }
    assert_eq!(
        &frames[0].payload()[..],
        br#"{"push":{"channel":"ch","pub":{"data":0}}}"#
    );
    assert_eq!(&frames[1].payload()[..], br#"{"push":{"id":1,"pub":{"data":0}}}"#);
    assert_eq!(
        frames[1].payload().as_ptr(),
        frames[2].payload().as_ptr(),
        "the bytes are shared"
    );
}

#[test]
fn what_is_held_before_the_reply_carries_the_number_too() {
    let hub = Hub::default();
    let channel: Arc<str> = "ch".into();
    let one = compacted(Encoding::Json);
    hub.join(&channel, &one);
    hub.publication("ch", &publication(0), None, 0);
    hub.leave_push("ch", &crate::engine::ClientInfo::default());
    one.release(&channel, 0);
    let delivered = frames(one.handle());
    assert!(
        delivered.len() == 2
            && delivered
                .iter()
                .all(|push| push.starts_with(r#"{"push":{"id":1,"#))
    );
}

/// While anybody is subscribed to a channel, its number is nobody else's.
#[test]
fn threads_never_share_a_number_and_give_all_back() {
    const ROUNDS: usize = 500;
    let hub = Hub::default();
    let shared: Arc<str> = "shared".into();
    let taken: Vec<_> = (0..16).map(|_| std::sync::Mutex::new(None::<Arc<str>>)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (hub, shared, taken) = (&hub, &shared, &taken);
            scope.spawn(move || {
                let own: Arc<str> = format!("own {thread}").into();
                for round in 0..ROUNDS {
                    let channel = if round % 2 == 0 { shared } else { &own };
                    let one = compacted(Encoding::Json);
                    hub.join(channel, &one);
                    let owner = &taken[one.number() as usize];
                    if channel == &own {
                        assert_eq!(owner.lock().expect("no panic").replace(own.clone()), None);
                        *owner.lock().expect("no panic") = None;
                    } else {
                        assert_eq!(*owner.lock().expect("no panic"), None);
                    }
                    hub.leave(channel, &one);
                }
            });
        }
    });
    let last = compacted(Encoding::Json);
    hub.join(&shared, &last);
    assert_eq!(last.number(), 1, "all were given back");
}
